package customer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// remembers is a recorder that keeps what it is told.
type remembers struct{ told []string }

func (r *remembers) Record(kind string, _ time.Duration, failure string) {
	r.told = append(r.told, kind+": "+failure)
}

// shopOf serves a shop, and returns its URL.
func shopOf(t *testing.T, serve http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return server.URL
}

func session(w http.ResponseWriter, token string, expiresIn int) {
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"user": {"id": "u1"}, "access_token": %q, "refresh_token": "r-%s", "expires_in": %d}`, token, token, expiresIn)
}

func TestRegisteringWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	tries := 0
	url := shopOf(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		session(w, "a", 900)
	})
	c, err := Register(t.Context(), url, nil)
	if err != nil || c.ID != "u1" || tries != 2 {
		t.Errorf("%+v, %v after %d tries", c, err, tries)
	}
}

func TestRefusalOfARegistrationIsSaid(t *testing.T) {
	t.Parallel()
	url := shopOf(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) })
	if _, err := Register(t.Context(), url, nil); err == nil {
		t.Error("it is taken for a registration")
	}
}

func TestAnOldTokenIsRenewed(t *testing.T) {
	t.Parallel()
	var asked []string
	url := shopOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/api/v1/auth/register":
			session(w, "old", 0)
		case "/api/v1/auth/refresh":
			session(w, "new", 900)
		}
	})
	c, err := Register(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/cart"})
	}
	want := []string{"/api/v1/auth/register ", "/api/v1/auth/refresh ", "/api/v1/cart Bearer new", "/api/v1/cart Bearer new"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsRecorded(t *testing.T) {
	t.Parallel()
	url := shopOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/good":
			w.WriteHeader(http.StatusCreated)
		case "/api/v1/open":
			w.WriteHeader(http.StatusAccepted)
		case "/api/v1/refused":
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"code": "out_of_stock"}`)
		default:
			panic(http.ErrAbortHandler)
		}
	})
	r := &remembers{}
	c := Stranger(url, r)
	for _, path := range []string{"/good", "/open", "/refused", "/broken"} {
		c.Do(t.Context(), Request{Kind: path, Method: http.MethodGet, Path: path})
	}
	c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/good"}) // of no kind
	ended, end := context.WithCancel(t.Context())
	end()
	c.Do(ended, Request{Kind: "late", Method: http.MethodGet, Path: "/good"})

	want := []string{"/good: ", "/open: 202 not settled yet", "/refused: 409 out_of_stock", "/broken: no answer"}
	if diff := cmp.Diff(want, r.told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
