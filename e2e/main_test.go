// Package e2e tests the running whole: real processes on real PostgreSQL and Redis, through the REST door.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"shop.example/e2e/internal/shop"
)

// shared is the shop that most tests use, each with customers and products of its own. Tests that break something start their own.
var shared *shop.Shop

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Most tests wait for the shop most of the time: more of them than processors can run at once.
	if err := flag.Set("test.parallel", "8"); err != nil {
		return failed(err)
	}
	remove, err := shop.Build(ctx, os.Stderr)
	if err != nil {
		return failed(err)
	}
	defer func() {
		if err := remove(); err != nil {
			code = failed(err)
		}
	}()
	if shared, err = shop.Start(ctx, nil, os.Stderr); err != nil {
		return failed(err)
	}
	stop() // from here on Ctrl-C ends this process, and with it, by the runner's care, all that it has started
	code = m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, shared.LastWords())
	}
	if err := shared.Close(context.Background()); err != nil {
		return failed(errors.Join(errors.New("end of the shared shop"), err))
	}
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}
