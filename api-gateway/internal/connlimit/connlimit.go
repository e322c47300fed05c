// Package connlimit bounds how many connections are open, in all and by client.
//
// When there are as many as there may be, a connection that waits gives way to a new one, the longest waiting first: one that
// is kept alive without a request, or on which a request has not arrived yet. So whoever opens connections and then dawdles
// (slowloris) only ever pushes out others who dawdle, while a client that asks at once is served. If all of them are busy with
// requests, the new one is closed.
//
// A client whose idle connection is closed just as it sends a request sees what it would see at the end of the idle timeout,
// and tries again.
package connlimit

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"shop.example/api-gateway/internal/clientip"
)

// Limits are how many connections may be open.
type Limits struct {
	All int
	// PerClient is for one IPv4 address or IPv6 /64; 0 for no such limit.
	PerClient int
	// Exempt says whose connections are not limited by client, as those of a trusted proxy, which are its clients'.
	Exempt func(netip.Addr) bool
}

// Listener accepts connections within limits.
type Listener struct {
	net.Listener
	limits Limits
	closed metric.Int64Counter

	mu      sync.Mutex
	open    int
	waiting *list.List // of *conn, the longest waiting first
	clients map[netip.Prefix]*client
}

// client is one that has connections.
type client struct {
	open    int
	waiting *list.List
}

// New returns a listener on top of another. Its ConnState must be that of the server.
func New(inner net.Listener, limits Limits) (*Listener, error) {
	l := &Listener{Listener: inner, limits: limits, waiting: list.New(), clients: make(map[netip.Prefix]*client)}
	meter := otel.Meter("shop.example/api-gateway/internal/connlimit")
	var err error
	if l.closed, err = meter.Int64Counter("shop.gateway.connections.closed",
		metric.WithDescription("Connections closed by a limit (all or client): new ones, and waiting ones that gave way.")); err != nil {
		return nil, err
	}
	_, err = meter.Int64ObservableGauge("shop.gateway.connections.open", metric.WithDescription("Open connections of the public port."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(l.Open()))
			return nil
		}))
	return l, err
}

// Open is how many connections are open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Accept returns the next connection that there is room for.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(inner); c != nil {
			return c, nil
		}
	}
}

// conn is a connection that is counted.
type conn struct {
	net.Conn
	listener *Listener
	network  netip.Prefix
	limited  bool // by client

	// Guarded by the listener's mutex. The elements are in the lists of waiting ones, nil while a request is served.
	inAll, inClient *list.Element
	released        bool
}

// Close closes the connection and makes room.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	c.listener.release(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// admit counts a new connection, in the place of another one if need be, or closes it and returns nil.
func (l *Listener) admit(inner net.Conn) *conn {
	address := clientip.Peer(inner.RemoteAddr().String())
	c := &conn{
		Conn: inner, listener: l, network: clientip.Network(address),
		limited: l.limits.PerClient > 0 && !l.limits.Exempt(address),
	}
	// Closed after the lock is given back: a connection's end may take a system call.
	var gone []net.Conn
	defer func() {
		for _, g := range gone {
			_ = g.Close() // it is cut off: nobody waits for the outcome
		}
	}()

	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.clients[c.network]; c.limited && known != nil && known.open >= l.limits.PerClient {
		room := l.makeRoom(known.waiting, "client", &gone)
		if !room {
			gone = append(gone, inner)
			return nil
		}
	}
	if l.open >= l.limits.All && !l.makeRoom(l.waiting, "all", &gone) {
		gone = append(gone, inner)
		return nil
	}
	l.open++
	own := l.clients[c.network]
	if own == nil {
		own = &client{waiting: list.New()}
		l.clients[c.network] = own
	}
	own.open++
	l.wait(c)
	return c
}

// makeRoom gives up the connection that has waited longest; false if none waits. Either way one connection is to be closed.
func (l *Listener) makeRoom(waiting *list.List, limit string, gone *[]net.Conn) bool {
	what := "new"
	first := waiting.Front()
	if first != nil {
		what = "waiting"
		longest, _ := first.Value.(*conn)
		l.release(longest)
		*gone = append(*gone, longest.Conn)
	}
	l.closed.Add(context.Background(), 1, metric.WithAttributes(attribute.String("limit", limit), attribute.String("connection", what)))
	return first != nil
}

// wait puts a connection behind all that wait already.
func (l *Listener) wait(c *conn) {
	if c.released || c.inAll != nil {
		return
	}
	c.inAll = l.waiting.PushBack(c)
	c.inClient = l.clients[c.network].waiting.PushBack(c)
}

// work takes a connection from those that wait.
func (l *Listener) work(c *conn) {
	if c.inAll == nil {
		return
	}
	l.waiting.Remove(c.inAll)
	l.clients[c.network].waiting.Remove(c.inClient)
	c.inAll, c.inClient = nil, nil
}

// release forgets a connection. It may be called more than once.
func (l *Listener) release(c *conn) {
	if c.released {
		return
	}
	l.work(c)
	c.released = true
	l.open--
	own := l.clients[c.network]
	if own.open--; own.open == 0 {
		delete(l.clients, c.network)
	}
}

// ConnState is the hook of http.Server by which the listener knows which connections wait: a request that has arrived makes
// one busy, the end of the answer (over HTTP/2, of the last one) lets it wait again.
func (l *Listener) ConnState(c net.Conn, state http.ConnState) {
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	counted, ok := c.(*conn)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch state {
	case http.StateActive:
		l.work(counted)
	case http.StateIdle:
		l.wait(counted)
	case http.StateHijacked, http.StateClosed: // the second also comes by Close
		l.release(counted)
	case http.StateNew: // it waits since it was accepted
	}
}
