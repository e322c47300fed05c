package main

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shop.example/deploy/load/internal/customer"
	"shop.example/deploy/local/invariants"
)

func TestFinal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer customer.Answer
		want   bool
	}{
		"done":            {customer.Answer{Status: http.StatusCreated}, true},
		"refused":         {customer.Answer{Status: http.StatusPaymentRequired, Body: []byte(`{"code": "payment_declined"}`)}, true},
		"interrupted":     {customer.Answer{Status: http.StatusConflict, Body: []byte(`{"code": "checkout_interrupted"}`)}, true},
		"no answer":       {customer.Answer{Err: errors.New("broken off")}, false},
		"away":            {customer.Answer{Status: http.StatusServiceUnavailable}, false},
		"not settled":     {customer.Answer{Status: http.StatusAccepted}, false},
		"still at it":     {customer.Answer{Status: http.StatusConflict, Body: []byte(`{"code": "idempotency_in_progress"}`)}, false},
		"worked on":       {customer.Answer{Status: http.StatusConflict, Body: []byte(`{"code": "order_busy"}`)}, false},
		"nobody can tell": {customer.Answer{Status: http.StatusUnauthorized}, false},
	} {
		if got := final(tc.answer); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestContradictions(t *testing.T) {
	t.Parallel()
	state := invariants.State{Orders: map[string]*invariants.Order{
		"1": {Status: "confirmed"}, "2": {Status: "cancelled"}, "3": {Status: "pending"},
	}}
	truth := []told{
		{kind: placeOrder, ID: "1", Status: "confirmed", code: 201},
		{kind: placeOrder, ID: "2", Status: "confirmed", code: 201}, {kind: cancelOrder, ID: "2", Status: "cancelled", code: 200},
		{kind: placeOrder, ID: "3", Status: "pending", code: 201},
		{kind: placeOrder, code: 402}, {kind: placeOrder},
	}
	if found := (&book{entries: truth}).contradictions(state); len(found) != 0 {
		t.Errorf("the truth is contradicted: %v", found)
	}
	for _, tc := range []struct {
		lie  told
		want string
	}{
		{told{kind: placeOrder, ID: "4", Status: "confirmed", code: 201}, `place order: the customer was told of order "4", which there is not`},
		{told{kind: placeOrder, ID: "1", Status: "confirmed", code: 201}, "order 1 was the answer to two keys"},
		{told{kind: cancelOrder, ID: "1", Status: "cancelled", code: 200}, "order 1 is confirmed, and its customer was told that it is cancelled"},
		{told{kind: payOrder, ID: "3", Status: "confirmed", code: 200}, "order 3 is pending, and its customer was told that it is confirmed"},
	} {
		got := (&book{entries: append(slices.Clone(truth), tc.lie)}).contradictions(state)
		if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
