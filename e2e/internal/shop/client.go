package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// API is where the contract's paths begin.
const API = "/api/v1"

// connections are shared by all clients. 30 s are more than the longest deadline of the shop, which has to answer first.
var connections = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Client is somebody at the REST door.
type Client struct {
	t     testing.TB
	shop  *Shop
	Token string // the access token; "" for a stranger
}

// Stranger is a client who has not signed in.
func (s *Shop) Stranger(t testing.TB) *Client { return &Client{t: t, shop: s} }

// With returns the same client with another access token.
func (c *Client) With(token string) *Client { return &Client{t: c.t, shop: c.shop, Token: token} }

// For returns the same client for a subtest.
func (c *Client) For(t testing.TB) *Client { return &Client{t: t, shop: c.shop, Token: c.Token} }

// Raw is a body that is sent as it is.
type Raw string

// Chunked is a body that is sent without saying how long it is.
type Chunked struct{ io.Reader }

// Do asks. path begins after /api/v1, unless it begins with two slashes: then it is taken from the root. body is sent as JSON, but for
// Raw, Chunked and nil. headers are "Name: value". An answer that breaks the contract's conventions fails the test.
func (c *Client) Do(method, path string, body any, headers ...string) *Answer {
	c.t.Helper()
	a, err := c.Try(method, path, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// patience is how long a client of a shop without limits does what Retry-After says before it gives up: as many tests as there are
// sign in at once, and a loaded machine hashes few passwords a second.
const patience = time.Minute

// Try is Do for goroutines, which may not end a test, and for shops that may break connections off. In a shop without limits, 429 says
// only that others are having their passwords hashed: it asks again when it is told to.
func (c *Client) Try(method, path string, body any, headers ...string) (*Answer, error) {
	begin := time.Now()
	for {
		a, err := c.ask(method, path, body, headers...)
		if err != nil || a.Status != http.StatusTooManyRequests || c.shop.limited || time.Since(begin) > patience {
			return a, err
		}
		after, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil {
			return a, err
		}
		select {
		case <-time.After(time.Duration(after) * time.Second):
		case <-c.t.Context().Done():
			return nil, c.t.Context().Err()
		}
	}
}

func (c *Client) ask(method, path string, body any, headers ...string) (*Answer, error) {
	target := c.shop.Gateway() + API + path
	if root, ok := strings.CutPrefix(path, "//"); ok {
		target = c.shop.Gateway() + "/" + root
	}
	reader, err := readerOf(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, target, reader)
	if err != nil {
		return nil, err
	}
	if reader != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := connections.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &Answer{Status: response.StatusCode, Header: response.Header, asked: method + " " + path}
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		return nil, fmt.Errorf("%s: read the answer: %w", a.asked, err)
	}
	if err := a.conventions(request); err != nil {
		return a, fmt.Errorf("against the conventions: %w\n%s\n%v", err, a, a.Header)
	}
	if strings.HasPrefix(path, "//") || a.Header.Get("Content-Type") == Lines {
		return a, nil // documents and probes are for people and machines of another kind, and of lines the document can't speak
	}
	if err := c.shop.contract.check(request, a); err != nil {
		return a, fmt.Errorf("against openapi.json: %w\n%s", err, a)
	}
	return a, nil
}

func readerOf(body any) (io.Reader, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case Raw:
		return strings.NewReader(string(b)), nil
	case Chunked:
		return io.MultiReader(b.Reader), nil // of a type that net/http can't tell the length of
	default:
		raw, err := json.Marshal(body)
		return bytes.NewReader(raw), err
	}
}

// Get reads.
func (c *Client) Get(path string, headers ...string) *Answer {
	c.t.Helper()
	return c.Do(http.MethodGet, path, nil, headers...)
}

// Post sends.
func (c *Client) Post(path string, body any, headers ...string) *Answer {
	c.t.Helper()
	return c.Do(http.MethodPost, path, body, headers...)
}
