package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/ratelimit"
)

// A request passes three gates. Those that a client can hold up, by sending its body or reading its answer slowly, are bounded
// by client; the one that everybody shares covers only what we do ourselves.
//
//	admit   from the first byte to the last: by client, and in all
//	(body)  read into memory
//	work    the operation; its answer is held in memory
//	(answer) written
//
// So who dawdles holds up nobody but itself, over HTTP/2 too, where one connection has many requests.
const (
	// openPerSlot is how many requests may be open for each that may be worked on: most of them wait for their clients, and
	// hold a body of at most smallBody. With 512 that is 4,096 requests and 128 MiB.
	openPerSlot = 8
	// clientShare is the part of MaxInFlight that one client may have open: browsers have six requests, a busy office behind one
	// address some dozens. minClientShare is for small settings.
	clientShare, minClientShare = 8, 16
	// passwordsInFlight is how many operations may wait for the hash of a password: user-service makes some 40 a second and
	// lets nobody wait longer than 2 s, so more would be refused there, after they have held a place here.
	passwordsInFlight = 64
	// bodyTimeout is for the body, from the end of the headers.
	bodyTimeout = 5 * time.Second
	// largeBodiesPerClient keeps one client from taking the places of all.
	largeBodiesPerClient = 2
)

// guardPolicy is what one address may ask at all, whoever is signed in there: that of five busy customers, for offices and
// mobile networks that share one. It is counted before anything else is done, in this process, as it is no quota that
// anybody plans with.
var guardPolicy = ratelimit.Policy{Name: "address", Quota: 1000, Window: 10 * time.Second}

// shares counts what clients have of something.
type shares struct {
	mu  sync.Mutex
	has map[netip.Prefix]int
}

// take reports whether the client had less than most, and has one more now.
func (s *shares) take(client netip.Prefix, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has == nil {
		s.has = make(map[netip.Prefix]int)
	}
	if s.has[client] >= most {
		return false
	}
	s.has[client]++
	return true
}

func (s *shares) giveBack(client netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[client]--; s.has[client] == 0 {
		delete(s.has, client)
	}
}

// tryTake takes a place if there is one.
func tryTake(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

// admit is the first gate. Without limits, as for tests of load from one address, it is open by client.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probePaths[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		// This moment there is room for none, whoever asks; the limit that counts replaces it.
		announce(w, defaultPolicy, ratelimit.Decision{Reset: time.Second})
		if s.limiter != nil {
			client := clientip.Network(exchangeOf(r.Context()).client)
			decision := s.guard.Take(r.Context(), guardPolicy, client.String())
			if !decision.Allowed {
				announce(w, guardPolicy, decision)
				writeProblem(w, r, rateLimited(decision))
				return
			}
			if !s.byClient.take(client, max(minClientShare, cap(s.slots)/clientShare)) {
				writeProblem(w, r, rateLimited(ratelimit.Decision{RetryAfter: time.Second}))
				return
			}
			defer s.byClient.giveBack(client)
		}
		if !tryTake(s.open) {
			writeProblem(w, r, overloaded())
			return
		}
		defer func() { <-s.open }()
		next.ServeHTTP(w, r)
	})
}

func rateLimited(decision ratelimit.Decision) *Problem {
	p := newProblem(http.StatusTooManyRequests, "rate_limited", "Too many requests. Slow down, please.")
	p.retryAfter = decision.RetryAfterSeconds()
	return p
}

// codeOverloaded is of what is refused because there is too much.
const codeOverloaded = "overloaded"

func overloaded() *Problem {
	p := newProblem(http.StatusServiceUnavailable, codeOverloaded, "The shop is very busy. Try again in a moment.")
	p.retryAfter = 1
	return p
}

// work is the gate that everybody shares. It sheds what this process can't do, before memory or latency run away.
func (s *Server) work(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probePaths[r.URL.Path] || streams(r) {
			next.ServeHTTP(w, r)
			return
		}
		x := exchangeOf(r.Context())
		held := &heldAnswer{ResponseWriter: w}
		if p := s.doWork(held, r, x, next); p != nil {
			writeProblem(w, r, p)
			return
		}
		held.send()
	})
}

// doWork answers into memory. It returns the problem if there is no room.
func (s *Server) doWork(held *heldAnswer, r *http.Request, x *exchange, next http.Handler) *Problem {
	defer x.freeBody()
	if s.passwords[operationKey(r)] {
		if !tryTake(s.hashing) {
			return rateLimited(ratelimit.Decision{RetryAfter: time.Second})
		}
		defer func() { <-s.hashing }()
	}
	if !tryTake(s.slots) {
		return overloaded()
	}
	defer func() { <-s.slots }()
	x.began = time.Now()
	next.ServeHTTP(held, r)
	return nil
}

// heldAnswer keeps an answer until it is whole.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (h *heldAnswer) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader keeps the first status.
func (h *heldAnswer) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *heldAnswer) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// send writes the answer to the client. It fails if that has gone: there is nobody left to tell.
func (h *heldAnswer) send() {
	if h.status != 0 {
		h.ResponseWriter.WriteHeader(h.status)
	}
	_, _ = h.ResponseWriter.Write(h.body.Bytes())
}

// streams says whether a request is one that is read and answered line by line, for which there are places of its own.
func streams(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == importPath }

// operationKey names an operation whose address has no parameters.
func operationKey(r *http.Request) string { return r.Method + " " + r.URL.Path }

// readBody reads the body into memory, within the contract's limit and in time, and refuses what is larger than there is room
// for.
func (s *Server) readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		if streams(r) {
			limitImport(next, w, r)
			return
		}
		x := exchangeOf(r.Context())
		defer x.freeBody()
		original := r.Body
		var p *Problem
		if r.ContentLength > maxBody {
			p = bodyTooLarge(maxBody)
		} else {
			p = s.readInto(w, r, x)
		}
		if p == nil {
			next.ServeHTTP(w, r)
			return
		}
		writeProblem(w, r, p)
		if p.Status == http.StatusRequestEntityTooLarge {
			// Neither matters if it fails: the answer is written, and the connection ends with it.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTimeout))
			_, _ = io.CopyN(io.Discard, original, maxDrained)
		}
	})
}

// readInto replaces the body of a request by its copy in memory.
func (s *Server) readInto(w http.ResponseWriter, r *http.Request, x *exchange) *Problem {
	control := http.NewResponseController(w)
	// A server that can't (in a unit test) has no slow clients either.
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(io.LimitReader(r.Body, smallBody))
	if err == nil && len(body) == smallBody {
		if !s.takeLargeBody(x) {
			return overloaded()
		}
		var rest []byte
		rest, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1-smallBody))
		body = append(body, rest...)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, "request_timeout", "The body did not arrive in time.")
	case err != nil:
		p := newProblem(http.StatusBadRequest, "malformed_request", "The body could not be read to its end.")
		p.cause = err
		return p
	case len(body) > maxBody:
		return bodyTooLarge(maxBody)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// takeLargeBody takes one of the places for bodies that are larger than smallBody, until the work is done.
func (s *Server) takeLargeBody(x *exchange) bool {
	client := clientip.Network(x.client)
	if s.limiter != nil && !s.largeByClient.take(client, largeBodiesPerClient) {
		return false
	}
	free := func() {
		if s.limiter != nil {
			s.largeByClient.giveBack(client)
		}
	}
	if !tryTake(s.bodies) {
		free()
		return false
	}
	x.freeLarge = func() { <-s.bodies; free() }
	return true
}

// freeBody gives the place of a large body back, once.
func (x *exchange) freeBody() {
	if x.freeLarge != nil {
		x.freeLarge()
		x.freeLarge = nil
	}
}

// deadline is when an operation must be done that may take so long from the moment on when the work began.
func (x *exchange) deadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if x.began.IsZero() {
		return context.WithTimeout(ctx, timeout)
	}
	return context.WithDeadline(ctx, x.began.Add(timeout))
}
