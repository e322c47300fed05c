package pagetoken_test

import (
	"errors"
	"testing"

	"shop.example/platform/pagetoken"
)

type cursor struct {
	At int64
	ID string
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	want := cursor{42, "x"}
	token, err := pagetoken.Encode("q", want)
	if err != nil {
		t.Fatal(err)
	}
	var got cursor
	if err := pagetoken.Decode(token, "q", &got); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRefusesOthers(t *testing.T) {
	t.Parallel()
	token, err := pagetoken.Encode("q", cursor{42, "x"})
	if err != nil {
		t.Fatal(err)
	}
	var got cursor
	if err := pagetoken.Decode(token, "another query", &got); !errors.Is(err, pagetoken.ErrInvalid) {
		t.Errorf("another query: %v", err)
	}
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if err := pagetoken.Decode(string(changed), "q", &got); !errors.Is(err, pagetoken.ErrInvalid) {
			t.Errorf("changed at %d: %v", i, err)
		}
	}
	for _, bad := range []string{"x", "ä", "AAAA", token + "A"} {
		if err := pagetoken.Decode(bad, "q", &got); !errors.Is(err, pagetoken.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	token, err := pagetoken.Encode("q", cursor{42, "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Fuzz(func(t *testing.T, token string) {
		var got cursor
		if err := pagetoken.Decode(token, "q", &got); err != nil && !errors.Is(err, pagetoken.ErrInvalid) {
			t.Fatal(err)
		}
	})
}
