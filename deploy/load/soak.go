package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"shop.example/deploy/load/internal/customer"
	"shop.example/deploy/load/internal/measure"
	"shop.example/deploy/local/invariants"
	"shop.example/deploy/local/runner"
	"shop.example/platform/devca"
)

const (
	// settleWithin is the promise: nothing is in between for longer, once all that it depends on is there.
	settleWithin = time.Minute
	// lookEvery is how often it is looked whether anything is.
	lookEvery = time.Second
	// auditSettle is what the shop's own auditor allows what is under way: the same minute. auditedWithin is twice that, as what
	// it suspects is a finding only if it stays as long, and some more.
	auditSettle   = settleWithin
	auditedWithin = 2*auditSettle + 30*time.Second
	// shownFindings are printed; a hundred more of the same tell nothing new.
	shownFindings = 20
)

// soakOptions are what the command line says.
type soakOptions struct {
	customers     int
	length, every time.Duration
	keep          bool
}

func parseSoak(args []string, help io.Writer) (o soakOptions, err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.IntVar(&o.customers, "customers", 32, "how many are at it at once")
	flags.DurationVar(&o.length, "for", 10*time.Minute, "how long they are")
	flags.DurationVar(&o.every, "every", 10*time.Second, "how often a process is killed or stopped")
	flags.BoolVar(&o.keep, "keep", false, "keep the shop's data and logs")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; --help shows what there is", flags.Arg(0))
	case o.customers < 1 || o.length <= 0:
		return o, errors.New("--customers and --for must be positive")
	case o.every <= stopFor:
		return o, fmt.Errorf("--every must be more than %v, for which a process may be stopped", stopFor)
	}
	return o, nil
}

// soak has customers at it in a shop of their own while its processes are killed and stopped, and checks every order at the end.
func soak(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parseSoak(args, out)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shop-soak-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintf(out, "the shop's data and logs stay in %s\n", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	// PostgreSQL runs as another user when we are root, and has to get through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	quiet := &progress{out: out}
	stack, err := runner.Start(ctx, runner.Options{
		Data: dir, NoDemo: true, NoRateLimit: true, Output: quiet, Replicas: map[string]int{"order-service": 2, "product-service": 2},
		Env: map[string]map[string]string{"order-service": {"AUDIT_EVERY": "2s", "AUDIT_SETTLE": auditSettle.String()}},
	})
	if err != nil {
		return err
	}
	quiet.silence() // deaths are told by who causes them
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, stack.Stop(ctx))
	}()
	key, err := os.ReadFile(filepath.Join(dir, "keys", devca.TestpayKeyFile))
	if err != nil {
		return err
	}
	source := invariants.Of(stack.Describe(), strings.TrimSpace(string(key)))
	return soakShop(ctx, stack, source, o, out)
}

func soakShop(ctx context.Context, stack *runner.Stack, source invariants.Source, o soakOptions, out io.Writer) error {
	s := shop{stack.Describe()}
	recorder, book := measure.NewRecorder(), &book{}
	goods, err := stockUp(ctx, s)
	if err != nil {
		return err
	}
	people, err := register(ctx, s, options{customers: o.customers}, recorder, func(ctx context.Context, c *customer.Customer) {
		live(ctx, c, goods, book)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d customers for %v; every %v a process is killed, or stopped for %v\n", o.customers, o.length, o.every, stopFor)
	recorder.Begin()
	open, shut := context.WithTimeout(ctx, o.length)
	defer shut()
	var chaos, shopping sync.WaitGroup
	chaos.Go(func() { wreck(open, stack, o.every, out) })
	// Who has begun something sees it through, as a customer does: only the next turn is not begun.
	for _, p := range people {
		shopping.Go(func() {
			for open.Err() == nil && ctx.Err() == nil {
				p.turn(ctx, p.Customer)
			}
		})
	}
	chaos.Wait()
	shopping.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	requests := recorder.End()

	settled, unsettled := await(ctx, settleWithin, func() error {
		left, err := source.InBetween(ctx)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d orders are still in between", len(left))
		}
		return err
	})
	end := time.Now()
	if _, err := await(ctx, auditedWithin, func() error { return source.Audited(ctx, end) }); err != nil {
		unsettled = errors.Join(unsettled, fmt.Errorf("audit: %w", err))
	}
	state, err := source.Read(ctx)
	if err != nil {
		return err
	}
	if err := requests.Print(out); err != nil {
		return err
	}
	return verdict(ctx, s, state, book, settled, unsettled, out)
}

// await waits until done returns nil, and returns how long it took, or what is left at the end of the time.
func await(ctx context.Context, limit time.Duration, done func() error) (time.Duration, error) {
	begin := time.Now()
	for {
		err := done()
		took := time.Since(begin)
		switch {
		case err == nil:
			return took, nil
		case took > limit:
			return took, fmt.Errorf("after %v: %w", limit, err)
		}
		if err := wait(ctx, lookEvery); err != nil {
			return took, err
		}
	}
}

// verdict prints what became of it all, and returns an error if anything is not as it must be.
func verdict(ctx context.Context, s shop, state invariants.State, b *book, settled time.Duration, unsettled error, out io.Writer) error {
	orders := map[string]int{}
	for _, o := range state.Orders {
		orders[o.Status]++
	}
	fmt.Fprintf(out, "\norders: %d in all, %v\n", len(state.Orders), orders)
	if unsettled == nil {
		fmt.Fprintf(out, "nothing was in between any more after %.0f s\n", settled.Seconds())
	}
	findings := state.Findings()
	contradictions := b.contradictions(state)
	fmt.Fprintf(out, "invariants of orders, money and stock: %d broken\n", len(findings))
	for _, f := range findings[:min(len(findings), shownFindings)] {
		fmt.Fprintf(out, "  %s\n", f)
	}
	fmt.Fprintf(out, "what %d requests with a key were told in the end: %d times not the truth; %d were never told\n",
		b.told(), len(contradictions), b.untold())
	for _, c := range contradictions[:min(len(contradictions), shownFindings)] {
		fmt.Fprintf(out, "  %s\n", c)
	}
	open, err := openFindings(ctx, s)
	switch {
	case err != nil:
		return fmt.Errorf("ask the auditor: %w", err)
	default:
		fmt.Fprintf(out, "open findings of the shop's own auditor: %d\n", open)
	}
	if unsettled != nil || len(findings) > 0 || len(contradictions) > 0 || open > 0 || b.untold() > 0 {
		return errors.Join(unsettled, errors.New("the shop did not keep its promises"))
	}
	return nil
}

// progress passes the runner's reports on until there is enough of them.
type progress struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *progress) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = io.Discard
}
