package inflight

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func network(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 32)
}

func enter(t *testing.T, g *Gate, client int) *Visit {
	t.Helper()
	v, err := g.Enter(network(client), false)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOneClientLeavesRoom(t *testing.T) {
	t.Parallel()
	g := New(Limits{All: 4, PerClient: 2})
	first := enter(t, g, 1)
	enter(t, g, 1)
	if _, err := g.Enter(network(1), false); !errors.Is(err, ErrClient) {
		t.Errorf("a third one: %v", err)
	}
	if _, err := g.Enter(network(1), true); !errors.Is(err, ErrClient) {
		t.Errorf("a third one that is excepted: %v", err)
	}
	enter(t, g, 2)
	first.Leave()
	enter(t, g, 1)
	enter(t, g, 3)
	if _, err := g.Enter(network(4), false); !errors.Is(err, ErrFull) {
		t.Errorf("where nobody waits: %v", err)
	}
	if _, err := g.Enter(network(4), true); err != nil || g.Open() != 4 {
		t.Errorf("excepted: %v, %d are open", err, g.Open())
	}
}

func TestWhoWaitsLongestGivesWay(t *testing.T) {
	t.Parallel()
	g := New(Limits{All: 3, Bytes: 100})
	var cut []int
	wait := func(client int, bytes int) *Visit {
		v := enter(t, g, client)
		v.Wait(bytes, func() { cut = append(cut, client) })
		return v
	}
	busy, second, third := wait(1, 0), wait(2, 0), wait(3, 0)
	busy.Resume()
	enter(t, g, 4) // for the second
	second.Wait(0, func() { cut = append(cut, -2) })
	second.Leave() // its place is taken already
	third.Resume()
	third.Wait(60, func() { cut = append(cut, 3) })
	busy.Wait(50, func() { cut = append(cut, 1) })
	if g.Open() != 2 {
		t.Errorf("%d are open", g.Open())
	}
	third.Leave()
	busy.Leave()
	if want := []int{2, -2, 3}; len(cut) != 3 || cut[0] != want[0] || cut[1] != want[1] || cut[2] != want[2] {
		t.Errorf("cut off were %v, want %v", cut, want)
	}
	if g.Open() != 1 || len(g.clients) != 1 || g.bytes != 0 || g.waiting.Len() != 0 {
		t.Errorf("left are %d, %v, %d bytes, %d waiting", g.Open(), g.clients, g.bytes, g.waiting.Len())
	}
	var refused *Visit // as of a request that was refused
	refused.Wait(1, nil)
	refused.Resume()
	refused.Leave()
}

// TestCutNeverComesLate: what cut touches is gone when the visit has been left.
func TestCutNeverComesLate(t *testing.T) {
	t.Parallel()
	g := New(Limits{All: 2, Bytes: 10})
	var (
		all      sync.WaitGroup
		late     atomic.Int64
		let, cut atomic.Int64
	)
	for i := range 8 {
		all.Go(func() {
			for range 2000 {
				v, err := g.Enter(network(i), false)
				if err != nil {
					continue
				}
				let.Add(1)
				var left atomic.Bool
				v.Wait(7, func() {
					cut.Add(1)
					if left.Load() {
						late.Add(1)
					}
				})
				v.Leave()
				left.Store(true)
			}
		})
	}
	all.Wait()
	if late.Load() > 0 || let.Load() == 0 {
		t.Errorf("%d were let in, %d cut off, %d of them too late", let.Load(), cut.Load(), late.Load())
	}
	if g.Open() != 0 || len(g.clients) != 0 || g.bytes != 0 {
		t.Errorf("left are %d, %v, %d bytes", g.Open(), g.clients, g.bytes)
	}
}
