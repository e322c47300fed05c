package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"shop.example/deploy/testpay/internal/ledger"
)

func TestChangesOverHTTP(t *testing.T) {
	t.Parallel()
	p := start(t, filepath.Join(t.TempDir(), "ledger"))
	const payments = 120 // more than a page has
	var last ledger.Payment
	for i := range payments {
		last = p.must("POST", "/v1/payments", fmt.Sprintf("key/%d", i), body("tok_ok", "o1"), 201).payment
	}
	if last.Key != "key/119" {
		t.Errorf("the payment was made under %q", last.Key)
	}
	span := url.Values{"from": {time.Now().Add(-time.Hour).Format(time.RFC3339)}, "to": {time.Now().Add(time.Hour).Format(time.RFC3339)}}
	type page struct {
		Items     []ledger.Payment
		NextAfter json.Number `json:"next_after"`
	}
	read := func() (got page) {
		t.Helper()
		if err := json.Unmarshal([]byte(p.must("GET", "/v1/payments?"+span.Encode(), "", "", 200).body), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := read()
	span.Set("after", first.NextAfter.String())
	second := read()
	if len(first.Items) != 100 || first.NextAfter != "100" || len(second.Items) != payments-100 || second.NextAfter != "" {
		t.Fatalf("pages of %d and %d, after %q and %q", len(first.Items), len(second.Items), first.NextAfter, second.NextAfter)
	}
	if got := second.Items[payments-101]; got != last {
		t.Errorf("the last is %+v, want %+v", got, last)
	}
	for _, bad := range []string{"", "?from=2026-03-01T12:00:00Z", "?from=yesterday&to=today",
		"?from=2026-03-01T12:00:00Z&to=2026-03-01T12:00:00Z&after=-1", "?from=2026-03-01T12:00:00Z&to=2026-03-01T12:00:00Z&after=x"} {
		if a := p.must("GET", "/v1/payments"+bad, "", "", 422); a.code != "invalid_request" {
			t.Errorf("%q: %s", bad, a.body)
		}
	}
}
