package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a page misses comes on the next one, what happened at other times on none, and a payment stands there as it is now.
func TestChanges(t *testing.T) {
	t.Parallel()
	_, c, l := setup(t)
	begin := c.Now()
	old := authorize(t, l, "old", "tok_ok")
	c.Advance(time.Minute)
	first, late := authorize(t, l, "first", "tok_ok"), authorize(t, l, "late", "tok_late")
	if _, err := l.Capture("capture", old.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Refund("refund", old.ID, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := l.VoidByKey("void", "nothing"); err != nil { // no payment's
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	last := authorize(t, l, "last", "tok_declined") // and before it, the late one is authorized

	list := func(from, to time.Duration, limit int) (pages [][]string) {
		t.Helper()
		for after := int64(0); ; {
			page, next, err := l.Changes(begin.Add(from), begin.Add(to), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, p := range page {
				ids = append(ids, p.ID)
				if now, err := l.Payment(p.ID); err != nil || p != now {
					t.Errorf("listed %+v, it is %+v (%v)", p, now, err)
				}
			}
			if pages = append(pages, ids); next == 0 {
				return pages
			}
			if next <= after {
				t.Fatalf("after %d comes %d", after, next)
			}
			after = next
		}
	}
	for name, tc := range map[string]struct {
		from, to time.Duration
		limit    int
		want     [][]string
	}{
		"all":                     {0, time.Hour, 100, [][]string{{old.ID, first.ID, late.ID, last.ID}}},
		"in pages":                {0, time.Hour, 3, [][]string{{old.ID, first.ID, late.ID}, {old.ID}, {late.ID, last.ID}}},
		"the end is not included": {0, time.Minute, 100, [][]string{{old.ID}}},
		"the beginning is":        {time.Minute, 2 * time.Minute, 100, [][]string{{first.ID, late.ID, old.ID}}},
		"nothing yet":             {time.Hour, 2 * time.Hour, 100, [][]string{nil}},
	} {
		if diff := cmp.Diff(tc.want, list(tc.from, tc.to, tc.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
