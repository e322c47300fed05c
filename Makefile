# `make` lists the targets. They need Go, git and make; everything else they build into bin/ at pinned versions (tools/)
# or find and install themselves (PostgreSQL, Redis).

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Every module stands alone: what go.work would add is what a user of one module would miss.
export GOWORK := off
export PATH   := $(CURDIR)/bin:$(PATH)
# What answers as Stripe does, for the tests of order-service.
export STRIPE_MOCK := $(CURDIR)/bin/stripe-mock

SERVICES := api-gateway user-service product-service cart-service order-service
# In the order of their tests: what fails lower down explains what fails further up.
UNITS    := tools/testsum platform $(SERVICES) deploy/testpay deploy/local deploy/load
MODULES  := proto $(UNITS) e2e
TOOLS    := tools/buf tools/gen tools/lint tools/stripe-mock

# `make test RACE=` runs without the race detector, which wants a C compiler. The end-to-end tests go without it, unless with
# E2E_RACE=-race: all shops under it want more than two processors, and each program's own tests run it whole under it already.
RACE ?= -race
E2E_RACE ?= -race=false
# An end-to-end test depends on more than go's cache of results can see.
E2E = $(E2E_RACE) -count=1 e2e
# A test that hangs tells where within this time; the slowest module needs about half of it.
TEST_TIMEOUT ?= 15m

.PHONY: help
help: ## List the targets
	@echo 'Usage: make TARGET'; echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

##
## Running
##

.PHONY: run
run: bin/shop ## Run the whole shop here, without Docker; flags in ARGS="--port 8090 --data ./shop-data"
	@bin/shop $(ARGS)

.PHONY: up
up: ## Run the whole shop in containers and wait until it is healthy
	docker compose up --build --detach --wait
	@echo "The shop answers at http://127.0.0.1:$${SHOP_PORT:-8080} (documentation: /docs). make down stops it and keeps its data."

.PHONY: import
# Who imports is passed in the environment: arguments can be read by everybody on the machine.
import: export SHOP_EMAIL    := $(or $(EMAIL),$(SHOP_EMAIL))
import: export SHOP_PASSWORD := $(or $(PASSWORD),$(SHOP_PASSWORD))
import: export SHOP_TOKEN    := $(or $(TOKEN),$(SHOP_TOKEN))
import: bin/shop ## Import products: FILE=catalogue.ndjson, and for a shop that does not run here URL= EMAIL= PASSWORD= (or TOKEN=)
	@[ -n "$(FILE)" ] || { echo 'usage: make import FILE=catalogue.ndjson [URL=https://… EMAIL=… PASSWORD=… | TOKEN=…]'; exit 2; }
	@bin/shop import $(if $(URL),--url "$(URL)") "$(FILE)"

.PHONY: down
down: ## Stop the containers; the data stays (docker compose down -v removes it)
	docker compose --profile observability down

##
## Proving
##

.PHONY: test
test: bin/shop bin/testsum bin/stripe-mock race-toolchain ## Run every test of every module on real PostgreSQL and Redis, race detector on
	@bin/shop with-stores -- bin/testsum -timeout=$(TEST_TIMEOUT) $(RACE) $(UNITS) $(E2E)

.PHONY: test-unit
test-unit: bin/shop bin/testsum bin/stripe-mock race-toolchain ## The same without the end-to-end tests
	@bin/shop with-stores -- bin/testsum -timeout=$(TEST_TIMEOUT) $(RACE) $(UNITS)

.PHONY: e2e
e2e: RACE = $(filter -race,$(E2E_RACE))
e2e: bin/shop bin/testsum race-toolchain ## Only the end-to-end tests
	@bin/shop with-stores -- bin/testsum -timeout=$(TEST_TIMEOUT) $(E2E)

.PHONY: bench
bench: bin/shop ## Run the benchmarks of every module (BENCH=regexp, BENCHTIME=1s)
	@for m in $(UNITS); do \
	  echo "== $$m"; \
	  bin/shop with-stores -- go test -C $$m -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -benchtime=$(or $(BENCHTIME),1s) ./...; \
	done

.PHONY: load
load: ## Put a shop to work and say where the time goes: SCENARIO=checkout|cart|browse, ARGS="--customers 32 --for 20s --data FOLDER"
	@go -C deploy/load build -o $(CURDIR)/bin/load . && bin/load $(or $(SCENARIO),checkout) $(ARGS)

.PHONY: soak
soak: ## Sell for DURATION=10m while a process is killed or stopped every 10 s, and check every order: ARGS="--customers 32 --every 10s"
	@go -C deploy/load build -o $(CURDIR)/bin/load . && bin/load soak --for $(or $(DURATION),10m) $(ARGS)

.PHONY: lint
lint: bin/golangci-lint ## Check every module against .golangci.yml
# In one run over go.work, which takes half the time of one for each module: what they share is looked at once.
	@GOWORK=$(CURDIR)/go.work golangci-lint run --config .golangci.yml $(MODULES:%=./%/...)

.PHONY: verify
verify: verify-proto verify-tidy verify-format verify-openapi ## Check that what is generated, tidied and formatted is as the tools would leave it

.PHONY: verify-proto
verify-proto: bin/buf bin/protoc-gen-go bin/protoc-gen-go-grpc
	buf lint proto
	buf format --diff --exit-code proto
	@tools/scripts/proto-breaking
	@tools/scripts/proto-drift

.PHONY: verify-tidy
verify-tidy:
	@failed=; \
	for m in $(MODULES) $(TOOLS); do \
	  go -C $$m mod tidy -diff || failed="$$failed $$m"; \
	done; \
	[ -z "$$failed" ] || { echo "not tidy (make tidy):$$failed"; exit 1; }; echo 'go.mod: tidy'

.PHONY: verify-format
verify-format:
	@files=$$(gofmt -l $(MODULES)); \
	[ -z "$$files" ] || { echo "not formatted (make fmt):"; echo "$$files"; exit 1; }; echo 'gofmt: clean'

.PHONY: verify-openapi
verify-openapi:
	@go -C api-gateway run . openapi | diff -u docs/openapi.json - || { echo 'docs/openapi.json is not what the gateway serves: run make openapi'; exit 1; }
	@echo 'docs/openapi.json: up to date'

##
## Changing
##

.PHONY: proto
proto: bin/buf bin/protoc-gen-go bin/protoc-gen-go-grpc ## Format the .proto files and generate the code beside them
	buf format -w proto
	cd proto && buf generate

.PHONY: openapi
openapi: ## Write docs/openapi.json from the gateway's code
	@go -C api-gateway run . openapi >docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json || { rm -f docs/openapi.json.new; exit 1; }

.PHONY: fmt
fmt: ## Format the Go code
	@gofmt -l -w $(MODULES)

.PHONY: tidy
tidy: ## Tidy every go.mod
	@for m in $(MODULES) $(TOOLS); do go -C $$m mod tidy; done

.PHONY: build
build: ## Build the services and the runner into bin/
	@for m in $(SERVICES); do go -C $$m build -trimpath -o $(CURDIR)/bin/$$m .; done
	@go -C deploy/testpay build -trimpath -o $(CURDIR)/bin/testpay .
	@$(MAKE) --no-print-directory bin/shop

##
## Tools. go decides whether there is anything to build, except for the big ones, which change with their go.mod.
##

.PHONY: bin/shop bin/testsum
bin/shop:
	@go -C deploy/local build -o $(CURDIR)/$@ .

bin/testsum:
	@go -C tools/testsum build -o $(CURDIR)/$@ .

bin/buf: tools/buf/go.mod tools/buf/go.sum
	go -C tools/buf build -o $(CURDIR)/$@ github.com/bufbuild/buf/cmd/buf

bin/protoc-gen-go: tools/gen/go.mod tools/gen/go.sum
	go -C tools/gen build -o $(CURDIR)/$@ google.golang.org/protobuf/cmd/protoc-gen-go

bin/protoc-gen-go-grpc: tools/gen/go.mod tools/gen/go.sum
	go -C tools/gen build -o $(CURDIR)/$@ google.golang.org/grpc/cmd/protoc-gen-go-grpc

bin/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	go -C tools/lint build -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/stripe-mock: tools/stripe-mock/go.mod tools/stripe-mock/go.sum
	go -C tools/stripe-mock build -o $(CURDIR)/$@ github.com/stripe/stripe-mock

# The race detector is linked by a C compiler, which a machine with only Go on it lacks.
.PHONY: race-toolchain
race-toolchain:
	@[ -z "$(RACE)" ] || tools/scripts/c-compiler
