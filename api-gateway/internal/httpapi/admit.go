package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/inflight"
	"shop.example/api-gateway/internal/ratelimit"
)

// A request passes three gates. Those that a client can hold up, by sending its body or reading its answer slowly, are bounded
// by client; the one that everybody shares covers only what we do ourselves.
//
//	hold    from the first byte to the last: by client, and in all
//	admit   refuses whom hold or the guard found no room for
//	(body)  read into memory
//	work    the operation; its answer is held in memory
//	(answer) written
//
// So who dawdles holds up nobody but itself, over HTTP/2 too, where one connection has many requests; and where there is no
// room left, who has dawdled longest gives way.
const (
	// openPerSlot is how many requests may be open for each that may be worked on: the others wait for their clients, and
	// give way when there is no room. With 512 that is 1,024 requests, of some 20 kB each beside their bodies.
	openPerSlot = 2
	// waitingBytes is how much the bodies and answers of those who wait for their clients may hold together: a quarter of the
	// memory that docker-compose.yml gives the process. What an operation answers is some 50 kB at most.
	waitingBytes = 32 << 20
	// refusalTimeout is for the answer to a request that was refused, which is not counted any more.
	refusalTimeout = time.Second
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

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// hold counts a request as open from its first byte to its last, and keeps the answer in memory until it is whole. Without
// limits, as for tests of load from one address, it does not count by client.
func (s *Server) hold(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		control := http.NewResponseController(w)
		x.visit, x.refused = s.flight.Enter(clientip.Network(x.client), probePaths[r.URL.Path])
		defer x.visit.Leave()
		if streams(r) { // it holds nothing whole
			next.ServeHTTP(w, r)
			return
		}
		x.cutBody = func() { _ = control.SetReadDeadline(longAgo) }
		held := &heldAnswer{
			ResponseWriter: w, visit: x.visit, direct: !isOperation(r), noBody: r.Method == http.MethodHead,
			cut: func() { _ = control.SetWriteDeadline(longAgo) },
		}
		next.ServeHTTP(held, r)
		if x.refused != nil {
			_ = control.SetWriteDeadline(time.Now().Add(refusalTimeout))
		}
		held.send(control)
		if x.drain != nil {
			// Neither matters if it fails: the answer is written, and the connection ends with it.
			_ = control.SetReadDeadline(time.Now().Add(drainTimeout))
			x.visit.Wait(0, x.cutBody)
			_, _ = io.CopyN(io.Discard, x.drain, maxDrained)
		}
	})
}

// isOperation says whether the answer is made by an operation; documents and pages are there already, and may be large.
func isOperation(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, base) || strings.HasPrefix(r.URL.Path, "/.well-known/") || probePaths[r.URL.Path]
}

// admit is the first gate.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		// This moment there is room for none, whoever asks; the limit that counts replaces it.
		announce(w, defaultPolicy, ratelimit.Decision{Reset: time.Second})
		if s.limiter != nil && !probePaths[r.URL.Path] {
			decision := s.guard.Take(r.Context(), guardPolicy, clientip.Network(x.client).String())
			if !decision.Allowed {
				x.refused = inflight.ErrClient
				announce(w, guardPolicy, decision)
				writeProblem(w, r, rateLimited(decision))
				return
			}
		}
		switch {
		case errors.Is(x.refused, inflight.ErrClient):
			writeProblem(w, r, rateLimited(ratelimit.Decision{RetryAfter: time.Second}))
		case x.refused != nil:
			writeProblem(w, r, overloaded())
		default:
			next.ServeHTTP(w, r)
		}
	})
}

const tooMany = "Too many requests. Slow down, please."

func rateLimited(decision ratelimit.Decision) *Problem {
	p := newProblem(http.StatusTooManyRequests, "rate_limited", tooMany)
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
		if !isOperation(r) || probePaths[r.URL.Path] || streams(r) { // no work, or in places of its own
			next.ServeHTTP(w, r)
			return
		}
		x := exchangeOf(r.Context())
		defer x.freeBody()
		if s.passwords[operationKey(r)] {
			if !tryTake(s.hashing) {
				writeProblem(w, r, rateLimited(ratelimit.Decision{RetryAfter: time.Second}))
				return
			}
			defer func() { <-s.hashing }()
		}
		if !tryTake(s.slots) {
			writeProblem(w, r, overloaded())
			return
		}
		defer func() { <-s.slots }()
		x.began = time.Now()
		next.ServeHTTP(w, r)
	})
}

// heldAnswer keeps an answer until it is whole. One that is direct is passed on as it is made, by a request that holds no slot.
type heldAnswer struct {
	http.ResponseWriter
	visit          *inflight.Visit
	cut            func()
	direct, noBody bool
	status         int
	body           bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (h *heldAnswer) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader keeps the first status.
func (h *heldAnswer) WriteHeader(status int) {
	if h.status != 0 {
		return
	}
	h.status = status
	if h.direct {
		h.visit.Wait(0, h.cut)
		h.ResponseWriter.WriteHeader(status)
	}
}

func (h *heldAnswer) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	if h.direct {
		return h.ResponseWriter.Write(p)
	}
	return h.body.Write(p)
}

// send writes the answer to the client, to its last byte. It fails if that has gone: there is nobody left to tell.
func (h *heldAnswer) send(control *http.ResponseController) {
	h.WriteHeader(http.StatusOK)
	if !h.direct {
		h.visit.Wait(h.body.Cap(), h.cut)
		if h.status != http.StatusNoContent && h.status != http.StatusNotModified {
			h.Header().Set("Content-Length", strconv.Itoa(h.body.Len()))
		}
		h.ResponseWriter.WriteHeader(h.status)
		_, _ = h.ResponseWriter.Write(h.body.Bytes())
	}
	if h.direct && !h.noBody || h.body.Len() > 0 {
		_ = control.Flush() // else the last 4 kB would be sent when it is not counted any more
	}
	h.visit.Resume()
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
			x.visit.Wait(smallBody, x.cutBody)
			p = s.readInto(w, r, x)
			x.visit.Resume()
		}
		if p == nil {
			next.ServeHTTP(w, r)
			return
		}
		writeProblem(w, r, p)
		if p.Status == http.StatusRequestEntityTooLarge {
			x.drain = original
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
