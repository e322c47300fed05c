module shop.example/tools/testsum

go 1.26
