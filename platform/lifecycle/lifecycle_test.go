package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/platform/lifecycle"
)

// journal records what happened in which order.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) add(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

func (j *journal) component(name string) lifecycle.Component {
	done := make(chan struct{})
	return lifecycle.Component{
		Name:  name,
		Start: func(context.Context) error { j.add("start " + name); return nil },
		Serve: func() error { <-done; return nil },
		Stop:  func(context.Context) error { j.add("stop " + name); close(done); return nil },
	}
}

func TestStopsInReverseOrder(t *testing.T) {
	t.Parallel()
	var j journal
	ctx, cancel := context.WithCancel(t.Context())
	last := j.component("c")
	last.Start = func(context.Context) error { j.add("start c"); cancel(); return nil }

	if err := lifecycle.Run(ctx, slog.New(slog.DiscardHandler), time.Second, j.component("a"), j.component("b"), last); err != nil {
		t.Fatal(err)
	}
	want := []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}
	if diff := cmp.Diff(want, j.events); diff != "" {
		t.Error(diff)
	}
}

func TestFailedStartStopsWhatWasStarted(t *testing.T) {
	t.Parallel()
	var j journal
	broken := lifecycle.Component{Name: "b", Start: func(context.Context) error { return errors.New("no port") }}

	err := lifecycle.Run(t.Context(), slog.New(slog.DiscardHandler), time.Second, j.component("a"), broken, j.component("c"))
	if err == nil || !strings.Contains(err.Error(), "start b: no port") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"start a", "stop a"}, j.events); diff != "" {
		t.Error(diff)
	}
}

func TestFailureWhileRunningEndsAll(t *testing.T) {
	t.Parallel()
	var j journal
	broken := lifecycle.Component{Name: "b", Serve: func() error { return errors.New("listener gone") }}

	err := lifecycle.Run(t.Context(), slog.New(slog.DiscardHandler), time.Second, j.component("a"), broken)
	if err == nil || !strings.Contains(err.Error(), "run b: listener gone") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"start a", "stop a"}, j.events); diff != "" {
		t.Error(diff)
	}
}

func TestStopHasOneDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	stuck := lifecycle.Component{Name: "stuck", Stop: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}

	err := lifecycle.Run(ctx, slog.New(slog.NewTextHandler(&out, nil)), time.Millisecond, stuck, stuck)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
