package shop

import (
	"testing"
	"time"
)

// lookEvery is how often a condition is looked at: a delay that nobody notices in a test, and little work for the shop.
const lookEvery = 50 * time.Millisecond

// Await waits until condition returns nil, and fails the test with its last error when a look that began after within finds
// otherwise: a look takes time itself, and what one saw that began before may have been true then.
func Await(t testing.TB, within time.Duration, condition func() error) {
	t.Helper()
	begin := time.Now()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		last := time.Since(begin) >= within
		err := condition()
		if err == nil {
			return
		}
		if last {
			t.Fatalf("after %s still: %v", within, err)
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
