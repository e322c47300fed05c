package jobs

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// What waits for an endpoint that hangs looks the more seldom the more it is, and soon again when the endpoint is well.
func TestLanesSpreadWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // whose clock stands still until nobody has anything to do
		const waiting = 1000
		l, endpoint := newLanes(), uuid.New()
		turnedAway := func() time.Duration {
			t.Helper()
			leave, back := l.enter(t.Context(), endpoint)
			if leave != nil {
				t.Fatal("there is a place")
			}
			if back < laneBack || back > laneBack+laneAtMost {
				t.Errorf("it comes back in %v", back)
			}
			return back
		}
		var inside []func()
		fill := func() {
			t.Helper()
			for len(inside) < laneWidth {
				leave, _ := l.enter(t.Context(), endpoint)
				if leave == nil {
					t.Fatalf("%d are inside, and there is no place", len(inside))
				}
				inside = append(inside, leave)
			}
		}
		leave := func(n int) {
			for _, leave := range inside[:n] {
				leave()
			}
			inside = inside[n:]
		}
		fill()
		if back := turnedAway(); back > laneBack+laneSpread {
			t.Errorf("the first comes back in %v", back)
		}
		mean := func(of int) time.Duration {
			t.Helper()
			var sum time.Duration
			for range of {
				sum += turnedAway()
			}
			return sum / time.Duration(of)
		}
		// That it hangs is not known before the first attempts end: it may take no longer than the second that was waited for it.
		if got := mean(waiting); got < 25*time.Second || got > time.Minute {
			t.Errorf("%d come back in %v, one with another", waiting, got)
		}
		// It still hangs for 10 s: all places get free at once, and are taken at once.
		time.Sleep(10 * time.Second) //nolint:forbidigo // the clock of the bubble jumps
		turnedAway()
		leave(laneWidth)
		fill()
		if got := mean(waiting / 10); got < 90*time.Second {
			t.Errorf("while it hangs the next come back in %v, one with another", got)
		}
		// There are more places than are wanted, which lasts.
		leave(2)
		time.Sleep(laneTurn + time.Nanosecond) //nolint:forbidigo // the clock of the bubble jumps
		fill()
		for range laneWidth {
			if back := turnedAway(); back > laneBack+laneSpread {
				t.Errorf("after it was well the next comes back in %v", back)
			}
		}
		// One attempt that took a little long is no endpoint that hangs.
		time.Sleep(1200 * time.Millisecond) //nolint:forbidigo // the clock of the bubble jumps
		leave(laneWidth)
		fill()
		if got := mean(waiting / 10); got > laneBack+laneSpread {
			t.Errorf("after attempts of 1.2 s the next come back in %v, one with another", got)
		}
		leave(laneWidth)
	})
}
