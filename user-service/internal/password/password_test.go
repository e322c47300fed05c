package password

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shop.example/platform/apperr"
)

// cheap keeps tests fast that are not about the cost.
var cheap = Params{MemoryKiB: 64, Time: 1, Threads: 1}

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap)
	phc, err := h.Hash(t.Context(), "kettle-omnibus")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("hash %q, want a PHC string", phc)
	}
	other, err := h.Hash(t.Context(), "kettle-omnibus")
	if err != nil || other == phc {
		t.Errorf("the same password hashed twice gives the same (error %v): there is no salt", err)
	}
	for password, want := range map[string]bool{"kettle-omnibus": true, "Kettle-omnibus": false, "": false, "kettle-omnibus ": false} {
		got, err := h.Verify(t.Context(), phc, password)
		if err != nil || got != want {
			t.Errorf("Verify(%q) = %v, error %v; want %v", password, got, err, want)
		}
	}
}

func TestVerifyComposedAndDecomposed(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap)
	phc, err := h.Hash(t.Context(), "Gr\u00fcne Kessel")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(t.Context(), phc, "Gru\u0308ne Kessel"); !ok || err != nil {
		t.Errorf("the same letters, typed otherwise: %v, error %v; want them to fit", ok, err)
	}
}

// The reference implementation's own test vector: our hashes can be read elsewhere, and others' here.
func TestKnownVector(t *testing.T) {
	t.Parallel()
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, err := NewHasher(Current).Verify(t.Context(), phc, "password"); !ok || err != nil {
		t.Errorf("Verify = %v, error %v; want true", ok, err)
	}
}

func TestCurrentIsOWASPs(t *testing.T) {
	t.Parallel()
	if want := (Params{MemoryKiB: 19456, Time: 2, Threads: 1}); Current != want {
		t.Errorf("parameters %+v, want %+v", Current, want)
	}
}

// Verifying without an account must cost what it costs with one.
func TestAbsentCostsTheSame(t *testing.T) {
	t.Parallel()
	h := NewHasher(Current)
	phc, err := h.Hash(t.Context(), "kettle-omnibus")
	if err != nil {
		t.Fatal(err)
	}
	p, salt, key, err := decode(h.Absent())
	q, otherSalt, otherKey, otherErr := decode(phc)
	if err := errors.Join(err, otherErr); err != nil {
		t.Fatal(err)
	}
	if p != q || len(salt) != len(otherSalt) || len(key) != len(otherKey) || len(h.Absent()) != len(phc) {
		t.Errorf("absent %q, real %q: they differ in cost", h.Absent(), phc)
	}
	if ok, err := h.Verify(t.Context(), h.Absent(), "kettle-omnibus"); ok || err != nil {
		t.Errorf("Verify = %v, error %v; want false", ok, err)
	}
}

func TestNeedsRehash(t *testing.T) {
	t.Parallel()
	old, err := NewHasher(cheap).Hash(t.Context(), "kettle-omnibus")
	if err != nil {
		t.Fatal(err)
	}
	if NewHasher(cheap).NeedsRehash(old) {
		t.Error("a hash of today's cost needs no other")
	}
	if !NewHasher(Params{MemoryKiB: 64, Time: 2, Threads: 1}).NeedsRehash(old) {
		t.Error("the cost grew, but the hash is left as it is")
	}
}

func TestVerifyRefusesNonsense(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap)
	for _, phc := range []string{
		"", "hunter2hunter2", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5",
		"$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5",
		"$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", "$argon2id$v=19$m=64,t=1,p=1$$a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=64,t=1,p=1$!$!",
	} {
		ok, err := h.Verify(t.Context(), phc, "x")
		if ok || err == nil {
			t.Errorf("Verify(%q) = %v, error %v; want an error", phc, ok, err)
		}
		if err != nil && phc != "" && strings.Contains(err.Error(), phc) {
			t.Errorf("the error repeats the hash: %v", err)
		}
	}
}

// With all slots taken, a caller waits for as long as is allowed and is then sent away, without an error that would open a
// breaker.
func TestBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(cheap)
		for range cap(h.slots) {
			h.slots <- struct{}{}
		}
		begin := time.Now()
		_, err := h.Hash(t.Context(), "kettle-omnibus")
		if got := apperr.KindOf(err); got != apperr.TooMany {
			t.Errorf("kind %v (error %v), want %v", got, err, apperr.TooMany)
		}
		if waited := time.Since(begin); waited != maxWait {
			t.Errorf("waited %v, want %v", waited, maxWait)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Verify(ctx, h.Absent(), "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the caller's deadline", err)
		}
	})
}

// A flood takes no more memory than the slots allow. Not parallel: it measures the whole process.
func TestFloodIsBounded(t *testing.T) {
	h := NewHasher(Current)
	// Buffers that are in use count, not those that wait for the collector: it is hurried, because on a busy machine it comes
	// late otherwise.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	var (
		wg          sync.WaitGroup
		before, now runtime.MemStats
	)
	runtime.GC()
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	for range 15 * cap(h.slots) {
		wg.Go(func() {
			if _, err := h.Verify(t.Context(), h.Absent(), "kettle-omnibus"); err != nil && apperr.KindOf(err) != apperr.TooMany {
				t.Errorf("verify: %v", err)
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	var most uint64
	look := time.NewTicker(5 * time.Millisecond) // some times in each hash
	defer look.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-look.C:
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
		}
	}
	// Each slot's buffer, and as much again that the collector has not seen yet, and two to spare on a busy machine. All at
	// once would be fifteen times the slots.
	allowed := before.HeapInuse + uint64(2*cap(h.slots)+2)*uint64(Current.MemoryKiB)<<10
	if most > allowed {
		t.Errorf("the heap grew to %d MiB, want at most %d MiB", most>>20, allowed>>20)
	}
	t.Logf("heap at most %d MiB for %d at once in %d slots", most>>20, 15*cap(h.slots), cap(h.slots))
}

// Half of the CPUs stay free for those who are signed in.
func TestSlots(t *testing.T) {
	for cpus, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 16: 8} {
		before := runtime.GOMAXPROCS(cpus)
		h := NewHasher(cheap)
		runtime.GOMAXPROCS(before)
		if got := cap(h.slots); got != want {
			t.Errorf("%d slots on %d CPUs, want %d", got, cpus, want)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := NewHasher(Current)
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "kettle-omnibus"); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(NewHasher(cheap).Absent())
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$a2V5")
	f.Fuzz(func(t *testing.T, phc string) {
		p, salt, key, err := decode(phc)
		if err == nil && (p.MemoryKiB > maxMemoryKiB || p.Time < 1 || p.Threads < 1 || len(salt) == 0 || len(key) == 0) {
			t.Errorf("%q was read as %+v", phc, p)
		}
	})
}

// A hash of before, when the cost was lower, is found wrong after as much work as any other: nobody sees by the time that there
// is such an account. Work is memory times passes.
func TestOlderHashesCostTheSame(t *testing.T) {
	t.Parallel()
	for _, old := range []Params{{12288, 1, 1}, {19456, 1, 1}, {64, 1, 1}, {19455, 2, 1}, {9216, 4, 1}, {8192, 3, 1}, Current} {
		phc, err := NewHasher(old).Hash(t.Context(), "kettle-omnibus")
		if err != nil {
			t.Fatal(err)
		}
		h := NewHasher(Current)
		var work, largest uint64
		h.idKey = func(_, _ []byte, time, memory uint32, _ uint8, keyLen uint32) []byte {
			work += uint64(time) * uint64(memory)
			largest = max(largest, uint64(memory))
			return make([]byte, keyLen)
		}
		if ok, err := h.Verify(t.Context(), phc, "wrong"); ok || err != nil {
			t.Errorf("Verify = %v, error %v", ok, err)
		}
		// At most one KiB of each pass is lost by dividing.
		if want := uint64(Current.MemoryKiB) * uint64(Current.Time); work > want || work < want-uint64(Current.Time) {
			t.Errorf("against %+v: work %d, want %d", old, work, want)
		}
		if largest > uint64(Current.MemoryKiB) {
			t.Errorf("against %+v: %d KiB at once", old, largest)
		}
	}
}
