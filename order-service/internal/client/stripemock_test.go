package client_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/client"
	"shop.example/platform/apperr"
)

// startStripeMock starts Stripe's own imitation of its API, which checks every request against the description of the API and
// gives canned answers, and returns its address. The Makefile says where the program is; else it is built.
func startStripeMock(t *testing.T) *url.URL {
	t.Helper()
	program := os.Getenv("STRIPE_MOCK")
	if program == "" {
		program = filepath.Join(t.TempDir(), "stripe-mock")
		build := exec.CommandContext(t.Context(), "go", "-C", "../../../tools/stripe-mock", "build", "-o", program, "github.com/stripe/stripe-mock")
		build.Env = append(os.Environ(), "GOWORK=off")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build stripe-mock: %v: %s", err, out)
		}
	}
	// Both doors, for the one that is not named stands at a fixed port.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), "Listening for HTTP at address: "); ok {
				addr <- at
			}
		}
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		<-ended
		_ = cmd.Wait() // it says that it was killed
	})
	select {
	case at := <-addr:
		return &url.URL{Scheme: "http", Host: at}
	case <-ended:
		t.Fatal("stripe-mock ended")
	case <-time.After(30 * time.Second):
		t.Fatal("stripe-mock does not listen")
	}
	return nil
}

// Every call that the adapter makes is one that Stripe knows, with parameters that it takes. What the calls lead to, the fake
// with a state tells.
func TestStripeMock(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		state string // of all intents, which the canned answers leave as it is
		seen  = make(map[string]bool)
	)
	mock, ids := startStripeMock(t), regexp.MustCompile(`pi_\w+`)
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(mock)
			r.Out.Header.Del("Accept-Encoding") // the answer is to be read here
		},
		ModifyResponse: func(resp *http.Response) error {
			call := resp.Request.Method + " " + ids.ReplaceAllString(resp.Request.URL.Path, "{id}")
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", call, resp.Status)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[call] = true
			return inState(resp, state)
		},
	})
	defer front.Close()

	pay := client.NewStripe(front.URL, stripeKey, 30*time.Second, quiet)
	order := uuid.New()
	key := order.String() + ":1"
	states := map[string]string{
		"authorize": "requires_payment_method", "find": "requires_payment_method", "capture": "requires_capture",
		"refund": "succeeded", "reverse": "requires_capture",
	}
	for name, call := range calls(pay, key, order, "pi_123") {
		mu.Lock()
		state = states[name]
		mu.Unlock()
		// An intent stays in its state whatever is done to it, so that it was done is in doubt, and no more than that.
		if _, err := call(t.Context()); err != nil && apperr.KindOf(err) != apperr.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, call := range []string{
		"POST /v1/payment_intents", "GET /v1/payment_intents/search", "GET /v1/payment_intents/{id}", "POST /v1/payment_intents/{id}",
		"POST /v1/payment_intents/{id}/confirm", "POST /v1/payment_intents/{id}/capture", "POST /v1/payment_intents/{id}/cancel",
		"GET /v1/refunds", "POST /v1/refunds",
	} {
		if !seen[call] {
			t.Errorf("%s was not called", call)
		}
	}
}

// inState puts the intents of a canned answer into a state.
func inState(resp *http.Response, state string) error {
	raw, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		return err
	}
	switch body["object"] {
	case "payment_intent":
		body["status"], body["last_payment_error"] = state, nil
	case "search_result":
		body["data"] = []any{} // it lags behind
	}
	if raw, err = json.Marshal(body); err != nil {
		return err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	return nil
}
