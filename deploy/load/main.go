// Load puts a running shop to work, as its customers would, and says how it did and where the time went.
//
//	go run ./deploy/load checkout [flags]   customers fill a cart, order, pay and look at the order
//	go run ./deploy/load cart [flags]       customers put things into a cart and look at it
//	go run ./deploy/load browse [flags]     strangers look around
//	go run ./deploy/load soak [flags]       customers do all of it while the shop's processes are killed: see soak.go
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"shop.example/deploy/load/internal/measure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "\n%v\n", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	data      string
	customers int
	warmUp    time.Duration
	length    time.Duration
	lines     int
	noCart    bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return usage()
	}
	if args[0] == "soak" {
		return soak(ctx, args[1:], out)
	}
	at := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == args[0] })
	if at < 0 {
		return usage()
	}
	o, err := parse(args[1:], out)
	if err != nil {
		return err
	}
	shop, leave, err := enter(ctx, o.data, out)
	if err != nil {
		return err
	}
	report, err := load(ctx, shop, scenarios[at], o, out)
	if err == nil {
		err = report.Print(out)
	}
	return errors.Join(err, leave())
}

func usage() error {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return fmt.Errorf("usage: load %s [flags]; --help after the name shows them", strings.Join(append(names, "soak"), "|"))
}

func parse(args []string, help io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.data, "data", "", "data folder of a running shop (default: a shop of its own is started, and removed at the end)")
	flags.IntVar(&o.customers, "customers", 32, "how many are at it at once")
	flags.DurationVar(&o.length, "for", 20*time.Second, "how long is measured")
	flags.DurationVar(&o.warmUp, "warm-up", 3*time.Second, "how long they are at it before that")
	flags.IntVar(&o.lines, "lines", 2, "products in an order")
	flags.BoolVar(&o.noCart, "no-cart", false, "orders name their items, and no cart is filled")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; --help shows what there is", flags.Arg(0))
	case o.customers < 1 || o.length <= 0 || o.warmUp < 0:
		return o, errors.New("--customers and --for must be positive, --warm-up not negative")
	case o.lines < 1 || o.lines > products:
		return o, fmt.Errorf("--lines must be between 1 and %d", products)
	}
	return o, nil
}

// load has the customers of a scenario at it, and measures what they and the shop do from the end of the warm-up on.
func load(ctx context.Context, shop shop, s scenario, o options, out io.Writer) (measure.Report, error) {
	recorder := measure.NewRecorder()
	fmt.Fprintf(out, "%s: %d products and %d customers come to %s\n", s.name, products, o.customers, shop.Gateway)
	people, err := s.prepare(ctx, shop, o, recorder)
	if err != nil {
		return measure.Report{}, err
	}
	working, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(working, people)
	}()
	defer func() {
		stop()
		<-done
	}()

	if err := wait(ctx, o.warmUp); err != nil {
		return measure.Report{}, err
	}
	fmt.Fprintf(out, "warm; measuring for %v\n", o.length)
	// What the shop has done is read while the customers are at it, at the beginning and at the end: the databases tell of a
	// transaction with a delay of up to a second, which is then the same at both ends.
	before, err := measure.Read(ctx, shop.Description)
	if err != nil {
		return measure.Report{}, err
	}
	recorder.Begin()
	if err := wait(ctx, o.length); err != nil {
		return measure.Report{}, err
	}
	requests := recorder.End()
	after, err := measure.Read(ctx, shop.Description)
	if err != nil {
		return measure.Report{}, err
	}
	return measure.Report{Requests: requests, Unit: s.unit, Per: s.per, Shop: after.Since(before)}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
