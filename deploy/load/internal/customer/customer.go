// Package customer is somebody at the REST door of a shop, signed in or a stranger.
package customer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	api = "/api/v1"
	// patience is more than the longest deadline of the shop, which has to answer first.
	patience = 30 * time.Second
	// maxIdle connections are kept: one for each of as many customers as a test of one machine has use for.
	maxIdle = 1024
	// signInPatience is how long somebody who signs in does what Retry-After says: passwords are hashed a few at a time.
	signInPatience = 2 * time.Minute
)

// Recorder is told of each request: its kind, how long it took and what was wrong with the answer, "" for nothing.
type Recorder interface {
	Record(kind string, took time.Duration, failure string)
}

// Customer is somebody who asks one thing after another; an admin is one, too. It is safe for concurrent use.
type Customer struct {
	// ID, Email and Password are those of the account; empty for a stranger.
	ID, Email, Password string

	url      string
	client   *http.Client
	recorder Recorder // nil for nobody

	mu              sync.Mutex
	access, refresh string
	renewAt         time.Time
}

// connections are shared, as those of a browser's tabs are not: what is measured is the shop, and not the making of them.
var connections = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle}}

// Stranger is somebody without an account.
func Stranger(url string, r Recorder) *Customer {
	return &Customer{url: url, client: connections, recorder: r}
}

// Register makes an account.
func Register(ctx context.Context, url string, r Recorder) (*Customer, error) {
	c := Stranger(url, r)
	c.Email, c.Password = "load-"+uuid.NewString()+"@load.example", uuid.NewString()
	if err := c.signIn(ctx, "register", map[string]string{"email": c.Email, "password": c.Password, "name": "Load Test"}); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return c, nil
}

// SignIn is a customer, or an admin, with an account that there is. Nobody records what is asked with it.
func SignIn(ctx context.Context, url, email, password string) (*Customer, error) {
	c := Stranger(url, nil)
	c.Email, c.Password = email, password
	if err := c.signIn(ctx, "login", map[string]string{"email": email, "password": password}); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return c, nil
}

// Request is what is asked for.
type Request struct {
	// Kind is what it counts as; "" for nothing.
	Kind string
	// Path begins after /api/v1.
	Method, Path string
	Body         any
	Key          string // of idempotency
}

// Answer is what the shop said.
type Answer struct {
	Status int // 0 for no answer
	Header http.Header
	Body   []byte
	Err    error // why there is no answer
}

// OK reports whether it was done.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Field is a member of the body that is a string, "" if there is none.
func (a Answer) Field(name string) string {
	var members map[string]json.RawMessage
	var value string
	if json.Unmarshal(a.Body, &members) != nil || json.Unmarshal(members[name], &value) != nil {
		return ""
	}
	return value
}

// Failure is what is wrong with the answer, in few words; "" for nothing. An order that is not settled yet is no failure of the
// shop's, but not what the customer wanted either.
func (a Answer) Failure() string {
	switch {
	case a.Err != nil:
		return "no answer"
	case a.Status == http.StatusAccepted:
		return "202 not settled yet"
	case a.OK():
		return ""
	default:
		return fmt.Sprintf("%d %s", a.Status, a.Field("code"))
	}
}

// Do asks once, and tells the recorder. One that the end of ctx has stopped is nobody's fault, and not told.
func (c *Customer) Do(ctx context.Context, r Request) Answer {
	token := c.token(ctx)
	begin := time.Now()
	a := c.ask(ctx, r, token)
	if c.recorder != nil && r.Kind != "" && (a.Err == nil || ctx.Err() == nil) {
		c.recorder.Record(r.Kind, time.Since(begin), a.Failure())
	}
	return a
}

// Must is Do for what has to work, and reads the answer.
func (c *Customer) Must(ctx context.Context, r Request, into any) error {
	a := c.Do(ctx, r)
	switch {
	case a.Err != nil:
		return a.Err
	case !a.OK():
		return fmt.Errorf("%s %s: %d %s", r.Method, r.Path, a.Status, a.Body)
	case into == nil:
		return nil
	default:
		return json.Unmarshal(a.Body, into)
	}
}

func (c *Customer) ask(ctx context.Context, r Request, token string) Answer {
	var body io.Reader
	if r.Body != nil {
		raw, err := json.Marshal(r.Body)
		if err != nil {
			return Answer{Err: err}
		}
		body = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, c.url+api+r.Path, body)
	if err != nil {
		return Answer{Err: err}
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if r.Key != "" {
		request.Header.Set("Idempotency-Key", r.Key)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return Answer{Err: err}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{Err: err}
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: raw}
}

// token returns the access token, a new one if the last is old. If there is no new one to be had, the shop will say so to what
// is asked with the old one, and it is tried again with the next.
func (c *Customer) token(ctx context.Context) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refresh != "" && time.Now().After(c.renewAt) {
		_ = c.session(ctx, "refresh", map[string]string{"refresh_token": c.refresh})
	}
	return c.access
}

// signIn asks for a session until the shop has the time to hash the password.
func (c *Customer) signIn(ctx context.Context, how string, body any) error {
	for begin := time.Now(); ; {
		err := c.session(ctx, how, body)
		var busy *busyError
		if !errors.As(err, &busy) || time.Since(begin) > signInPatience {
			return err
		}
		select {
		case <-time.After(busy.after):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Customer) session(ctx context.Context, how string, body any) error {
	a := c.ask(ctx, Request{Method: http.MethodPost, Path: "/auth/" + how, Body: body}, "")
	if a.Err != nil {
		return a.Err
	}
	if !a.OK() {
		err := fmt.Errorf("%d %s", a.Status, a.Body)
		if seconds, convErr := strconv.Atoi(a.Header.Get("Retry-After")); convErr == nil {
			return &busyError{err, time.Duration(seconds) * time.Second}
		}
		return err
	}
	var session struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresIn    int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(a.Body, &session); err != nil {
		return fmt.Errorf("read the session: %w", err)
	}
	c.ID, c.access, c.refresh = session.User.ID, session.AccessToken, session.RefreshToken
	c.renewAt = time.Now().Add(time.Duration(session.ExpiresIn) * time.Second / 2)
	return nil
}

// busyError is a refusal that says when to come again.
type busyError struct {
	error
	after time.Duration
}
