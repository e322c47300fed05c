package grpcclient_test

import (
	"testing"

	"shop.example/platform/auth"
)

// BenchmarkUnary is one call over loopback through all that a call between services goes through: both chains of
// interceptors, mutual TLS, validation and the line in the log.
func BenchmarkUnary(b *testing.B) {
	dir := certificates(b)
	c := dial(b, dir, patience, serve(b, dir, "127.0.0.1:0", fine).addr)
	ctx := auth.NewContext(b.Context(), auth.Principal{UserID: "user-1", Token: "abc"})
	if err := c.get(ctx); err != nil { // connects
		b.Fatal(err)
	}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.get(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many at once", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32) // goroutines per core
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := c.get(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
