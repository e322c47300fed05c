package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"shop.example/platform/apperr"
)

const (
	// maxInFlight is the bulkhead: how many calls may wait for the provider at once, so that one that hangs does not take all
	// of this process's memory with it. It is that of the calls of our own services.
	maxInFlight = 512
	// maxIdle is how many connections are kept: as many checkouts as run at once on a busy replica.
	maxIdle = 64
	// The breaker opens when at least half of 20 or more calls within 10 s failed, and lets a few through again after 1 s:
	// long enough to relieve a struggling provider, short enough that nobody notices that it is back later than it is.
	breakerWindow = 10 * time.Second
	breakerCalls  = 20
	breakerPause  = time.Second
	breakerProbes = 5
	// breakerPatience is how long a call must have waited for its end by deadline to be held against the provider.
	breakerPatience = time.Second
)

// door is the way to a provider over HTTP. Every call passes its breaker, those of the jobs too: they run again anyway, and
// are the ones that find out that the provider is back.
type door struct {
	next     http.RoundTripper
	breaker  *gobreaker.CircuitBreaker[struct{}]
	slots    chan struct{}
	patience time.Duration
}

// newDoor returns the way to the provider of a name, and a client that uses it. timeout bounds each call of that.
func newDoor(name string, timeout time.Duration, log *slog.Logger) (*door, *http.Client) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxIdle
	d := &door{
		next: transport, slots: make(chan struct{}, maxInFlight), patience: min(breakerPatience, timeout/2),
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Name: name, MaxRequests: breakerProbes, Interval: breakerWindow, Timeout: breakerPause,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				ended := c.TotalSuccesses + c.TotalFailures // c.Requests has those too that go on, or that say nothing
				return ended >= breakerCalls && 2*c.TotalFailures >= ended
			},
			IsExcluded: func(err error) bool { return errors.Is(err, errSaysNothing) },
			OnStateChange: func(name string, from, to gobreaker.State) {
				log.Warn("breaker changed", "dependency", "payment provider "+name, "from", from.String(), "to", to.String())
			},
		}),
	}
	return d, &http.Client{
		Transport: otelhttp.NewTransport(d), Timeout: timeout,
		// A provider does not send its callers elsewhere, and whoever does is not to have the key.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Ready implements usecase.Payments.
func (d *door) Ready() error {
	if d.breaker.State() == gobreaker.StateOpen {
		return apperr.DependencyUnavailable(fmt.Errorf("breaker of payment provider %s: %w", d.breaker.Name(), gobreaker.ErrOpenState))
	}
	return nil
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return nil, errors.New("too many calls are waiting for the payment provider")
	}
	_, refusal := d.breaker.Execute(func() (struct{}, error) {
		begin := time.Now()
		resp, err = d.next.RoundTrip(req) //nolint:bodyclose // that is up to whoever reads it
		return struct{}{}, verdict(resp, err, time.Since(begin) >= d.patience)
	})
	if errors.Is(refusal, gobreaker.ErrOpenState) || errors.Is(refusal, gobreaker.ErrTooManyRequests) {
		return nil, refusal
	}
	return resp, err
}

var errSaysNothing = errors.New("the call says nothing of the provider")

// verdict is what the end of a call says of the provider: nil that it is well, errSaysNothing, or what is wrong with it.
func verdict(resp *http.Response, err error, patient bool) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !patient:
		return errSaysNothing
	case err != nil:
		return err
	case resp.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("it answers %d", resp.StatusCode)
	default:
		return nil
	}
}
