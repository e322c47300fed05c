package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"

	"shop.example/deploy/local/runner"
)

// stopFor is how long a process is stopped: longer than a call of the payment provider may take (4 s), as long as any other
// request may.
const stopFor = 5 * time.Second

// victims are the processes that something happens to. Those whose crash is hardest to survive come up more often.
var victims = []struct {
	name     string
	replicas int
	weight   int
	stop     bool // it may be stopped, and not only killed: a stopped store's children would go on
}{
	{"order-service", 2, 6, true},
	{"product-service", 2, 4, true},
	{"cart-service", 1, 2, true},
	{"user-service", 1, 1, true},
	{"testpay", 1, 3, true},
	{"api-gateway", 1, 1, true},
	{"redis", 1, 1, true},
	{"postgres", 1, 1, false},
}

// wreck kills or stops a process again and again until ctx ends, and leaves none stopped.
func wreck(ctx context.Context, stack *runner.Stack, every time.Duration, out io.Writer) {
	begin, turn := time.Now(), time.NewTicker(every)
	defer turn.Stop()
	for {
		select {
		case <-turn.C:
		case <-ctx.Done():
			return
		}
		name, replica, stop := victim()
		action := "kill -9"
		var err error
		if stop {
			action = fmt.Sprintf("stop for %v", stopFor)
			err = pause(ctx, stack, name, replica)
		} else {
			err = stack.Kill(name, replica)
		}
		result := ""
		if err != nil {
			result = ": " + err.Error()
		}
		fmt.Fprintf(out, "%5.0f s  %s %s, replica %d%s\n", time.Since(begin).Seconds(), action, name, replica, result)
	}
}

func victim() (name string, replica int, stop bool) {
	sum := 0
	for _, v := range victims {
		sum += v.weight
	}
	at := rand.IntN(sum)
	for _, v := range victims {
		if at -= v.weight; at < 0 {
			return v.name, 1 + rand.IntN(v.replicas), v.stop && rand.IntN(2) == 0
		}
	}
	panic("the weights do not add up")
}

// pause stops a process for a time, or until ctx ends.
func pause(ctx context.Context, stack *runner.Stack, name string, replica int) error {
	for _, p := range stack.Describe().Processes {
		if p.Name != name || p.Replica != replica || p.PID <= 0 {
			continue
		}
		if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
			return err
		}
		_ = wait(ctx, stopFor) // at the end of the run it goes on all the sooner
		return syscall.Kill(p.PID, syscall.SIGCONT)
	}
	return fmt.Errorf("it does not run")
}
