// Local runs the whole shop on this machine without containers.
//
//	go run ./deploy/local [flags]              runs the shop until Ctrl-C
//	go run ./deploy/local with-stores -- CMD   runs a command with a throw-away PostgreSQL and Redis
//	go run ./deploy/local keys --out DIR       makes the development keys and certificates
//	go run ./deploy/local import FILE          imports products into a running shop
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"shop.example/deploy/local/runner"
)

func main() {
	err := run(os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.As(err, &exit): // the command of with-stores has said itself what was wrong
		os.Exit(max(exit.ExitCode(), 1))
	default:
		fmt.Fprintf(os.Stderr, "\n%v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, abort, cancel := untilSignal()
	defer cancel()
	if len(args) > 0 {
		switch args[0] {
		case "with-stores":
			return withStores(ctx, args[1:])
		case "keys":
			return keys(args[1:])
		case "import":
			return importFile(ctx, args[1:])
		}
	}
	return shop(ctx, abort, args)
}

// shop runs the shop until ctx ends.
func shop(ctx context.Context, abort <-chan struct{}, args []string) error {
	options, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	options.Output, options.Abort = os.Stdout, abort
	stack, err := runner.Start(ctx, options)
	if errors.Is(err, context.Canceled) {
		fmt.Println("stopped before it was ready")
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Print(stack.Summary(ctx))
	<-ctx.Done()
	fmt.Println("\nstopping (once more Ctrl-C: at once)")
	begin := time.Now()
	if err := stack.Stop(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	fmt.Printf("all stopped after %.1f s\n", time.Since(begin).Seconds())
	return nil
}

// parse reads the flags.
func parse(args []string, help io.Writer) (runner.Options, error) {
	o := runner.Options{Replicas: map[string]int{}}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.IntVar(&o.Port, "port", 8080, "the gateway's port, 0 for a free one")
	flags.StringVar(&o.Data, "data", "", "folder for all data (default .local in the repository)")
	flags.Func("replicas", "`name=n`: how many processes of a service run; several with commas or by repetition", func(text string) error {
		return addReplicas(o.Replicas, text)
	})
	flags.BoolVar(&o.Reset, "reset", false, "throw away the data of earlier runs first")
	flags.BoolVar(&o.NoDemo, "no-demo", false, "leave the catalogue empty")
	flags.Func("rate-limit", "`on|off`: limits on requests and sign-ins (default on)", func(text string) error {
		if text != "on" && text != "off" {
			return errors.New("it is on or off")
		}
		o.NoRateLimit = text == "off"
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; --help shows what there is", flags.Arg(0))
	}
	return o, nil
}

func addReplicas(replicas map[string]int, text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		name, number, ok := strings.Cut(pair, "=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return fmt.Errorf("%q is not name=n, such as order-service=2", pair)
		}
		replicas[name] = n
	}
	return nil
}

// untilSignal returns a context that ends with Ctrl-C or SIGTERM, and a channel that is closed by the second one.
func untilSignal() (context.Context, <-chan struct{}, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	abort := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case <-signals:
		case <-goRunGone(ctx):
		}
		cancel()
		<-signals
		close(abort)
	}()
	return ctx, abort, cancel
}

// goRunGone is closed when we were started by `go run` and that is gone. It passes Ctrl-C on, but a SIGTERM (from a process
// supervisor, or make) ends it alone: without this, we would run on unseen. Started by anything else, it is never closed.
func goRunGone(ctx context.Context) <-chan struct{} {
	gone := make(chan struct{})
	parent := os.Getppid()
	if commandOf(parent) != "go" {
		return gone
	}
	go func() {
		// The system announces a parent's death only on Linux; twice a second is soon enough for a person and costs nothing.
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if os.Getppid() != parent {
					close(gone)
					return
				}
			}
		}
	}()
	return gone
}

// commandOf is the name of a process's program, "" if the system does not say.
func commandOf(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil { // no /proc: macOS, where ps prints a path
		name, err = exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	}
	if err != nil {
		return ""
	}
	return filepath.Base(strings.TrimSpace(string(name)))
}
