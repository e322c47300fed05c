// Package inflight bounds the requests that are in the house: in all and by client, from the first byte of a request to the
// last byte of its answer.
//
// A request that waits for its client (for a body to arrive, for an answer to be read) gives way when there is no room for a
// new one, the longest waiting first. So whoever dawdles, from however many addresses, only ever pushes out others who dawdle.
package inflight

import (
	"container/list"
	"errors"
	"net/netip"
	"sync"
)

// The ways in which a request is refused.
var (
	ErrClient = errors.New("this client has as many requests in flight as one may")
	ErrFull   = errors.New("there are as many requests in flight as there may be, and none waits for its client")
)

// Limits are how much may be in flight.
type Limits struct {
	All int
	// PerClient is for one network; 0 for no such limit.
	PerClient int
	// Bytes is how much those who wait may hold in memory together.
	Bytes int
}

// Gate counts what is in flight.
type Gate struct {
	limits Limits

	mu      sync.Mutex
	open    int
	bytes   int
	waiting *list.List // of *Visit, the longest waiting first
	clients map[netip.Prefix]int
}

// New returns a gate that nobody has passed.
func New(limits Limits) *Gate {
	return &Gate{limits: limits, waiting: list.New(), clients: make(map[netip.Prefix]int)}
}

// Visit is one request in flight. A nil Visit, of a request that was refused, does nothing.
type Visit struct {
	gate   *Gate
	client netip.Prefix

	// Guarded by the gate's mutex.
	place    *list.Element // among those who wait
	bytes    int
	gaveWay  bool
	excepted bool // not counted among all

	mu  sync.Mutex
	cut func() // nil while it does not wait
}

// Enter lets a request in, in the place of one that waits if need be. One that is excepted is counted by client only. Errors:
// ErrClient, ErrFull.
func (g *Gate) Enter(client netip.Prefix, excepted bool) (*Visit, error) {
	v, longest, err := g.enter(client, excepted)
	longest.end()
	return v, err
}

func (g *Gate) enter(client netip.Prefix, excepted bool) (v, longest *Visit, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limits.PerClient > 0 && g.clients[client] >= g.limits.PerClient {
		return nil, nil, ErrClient
	}
	if !excepted && g.open >= g.limits.All {
		if longest = g.giveWay(); longest == nil {
			return nil, nil, ErrFull
		}
	}
	g.clients[client]++
	if !excepted {
		g.open++
	}
	return &Visit{gate: g, client: client, excepted: excepted}, longest, nil
}

// giveWay takes the longest waiting out of the count; nil if none waits.
func (g *Gate) giveWay() *Visit {
	for e := g.waiting.Front(); e != nil; e = e.Next() {
		if v, _ := e.Value.(*Visit); !v.excepted {
			g.forget(v)
			return v
		}
	}
	return nil
}

// forget lets a visit give way.
func (g *Gate) forget(v *Visit) {
	g.resume(v)
	v.gaveWay = true
	if !v.excepted {
		g.open--
	}
}

func (g *Gate) resume(v *Visit) {
	if v.place != nil {
		g.waiting.Remove(v.place)
		g.bytes -= v.bytes
		v.place, v.bytes = nil, 0
	}
}

// end cuts the client off, if it still waits for it.
func (v *Visit) end() {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cut != nil {
		v.cut()
	}
}

// Wait says that the request now waits for its client with so many bytes in memory. cut ends the waiting; it is called at most
// once at a time and never after Resume or Leave have returned. Who has given way before is cut off at once.
func (v *Visit) Wait(bytes int, cut func()) {
	if v == nil {
		return
	}
	v.mu.Lock()
	v.cut = cut
	v.mu.Unlock()
	for _, gone := range v.gate.wait(v, bytes) {
		gone.end()
	}
}

func (g *Gate) wait(v *Visit, bytes int) (gone []*Visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.gaveWay {
		return []*Visit{v}
	}
	v.place, v.bytes = g.waiting.PushBack(v), bytes
	g.bytes += bytes
	for g.bytes > g.limits.Bytes && g.waiting.Len() > 1 { // the only one may be as large as it is
		longest, _ := g.waiting.Front().Value.(*Visit)
		g.forget(longest)
		gone = append(gone, longest)
	}
	return gone
}

// Resume says that it waits no longer.
func (v *Visit) Resume() {
	if v == nil {
		return
	}
	v.gate.mu.Lock()
	v.gate.resume(v)
	v.gate.mu.Unlock()
	v.mu.Lock()
	v.cut = nil
	v.mu.Unlock()
}

// Leave ends the visit.
func (v *Visit) Leave() {
	if v == nil {
		return
	}
	v.Resume()
	g := v.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !v.gaveWay && !v.excepted {
		g.open--
	}
	if g.clients[v.client]--; g.clients[v.client] == 0 {
		delete(g.clients, v.client)
	}
}

// Open is how many requests are in flight, of all clients.
func (g *Gate) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}
