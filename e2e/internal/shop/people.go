package shop

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/auth"
	"shop.example/platform/token"
)

// The tests' own secrets bear these marks, by which they are found wherever they must not be.
const (
	passwordMark = "pass-word-of-a-test"
	streetMark   = "Street-of-a-test"
	emailMark    = "@e2e.example"
)

// NewPassword returns a password that nobody else has.
func NewPassword() string { return passwordMark + uuid.NewString()[:8] }

// NewEmail returns an address that nobody else has.
func NewEmail() string { return "customer-" + uuid.NewString() + emailMark }

// User is a person with an account.
type User struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Session is what signing in gives.
type Session struct {
	User         User   `json:"user"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
}

// Place is where somebody is signed in.
type Place struct {
	ID         string    `json:"id"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Current    bool      `json:"current"`
}

// AddressEntry is an entry of an address book.
type AddressEntry struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Address
	IsDefault bool `json:"is_default"`
}

// Customer is a client who has signed in, with what he did it with.
type Customer struct {
	*Client
	ID, Email, Password string
}

// NewCustomer registers somebody.
func (s *Shop) NewCustomer(t testing.TB, headers ...string) *Customer {
	t.Helper()
	email, password := NewEmail(), NewPassword()
	session := Want[Session](t, http.StatusCreated, s.Stranger(t).Post("/auth/register",
		map[string]string{"email": email, "password": password, "name": "Erika Test"}, headers...))
	return &Customer{Client: s.Stranger(t).With(session.AccessToken), ID: session.User.ID, Email: email, Password: password}
}

// NewUser is NewCustomer for any role: an admin gives it, and then the user signs in with it.
func (s *Shop) NewUser(t testing.TB, role auth.Role) *Customer {
	t.Helper()
	user := s.NewCustomer(t)
	if role == auth.Customer {
		return user
	}
	Want[User](t, http.StatusOK, s.Admin(t).Do(http.MethodPatch, "/users/"+user.ID, map[string]auth.Role{"role": role}))
	user.Token = user.SignIn().AccessToken
	return user
}

// SignIn opens another session of the customer's.
func (c *Customer) SignIn(headers ...string) Session {
	c.t.Helper()
	return Want[Session](c.t, http.StatusOK, c.With("").Post("/auth/login", c.Credentials(), headers...))
}

// Credentials are what the customer signs in with.
func (c *Customer) Credentials() map[string]string {
	return map[string]string{"email": c.Email, "password": c.Password}
}

// For returns the same customer for a subtest.
func (c *Customer) For(t testing.TB) *Customer {
	copied := *c
	copied.Client = c.Client.For(t)
	return &copied
}

// Sign returns an access token as the shop makes them, issued at a time of the test's choice.
func (s *Shop) Sign(t testing.TB, at time.Time, p auth.Principal) string {
	t.Helper()
	signer, err := token.NewSigner(s.SigningKey(t), func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signer.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// PrincipalOf reads an access token, without judging it.
func PrincipalOf(t testing.TB, raw string) auth.Principal {
	t.Helper()
	var claims struct {
		Subject string    `json:"sub"`
		Session string    `json:"sid"`
		Role    auth.Role `json:"role"`
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token has %d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatalf("the access token: %v", err)
	}
	return auth.Principal{UserID: claims.Subject, SessionID: claims.Session, Role: claims.Role}
}

// Admin is the first admin, who signs in once for all tests.
func (s *Shop) Admin(t testing.TB) *Client {
	t.Helper()
	s.adminOnce.Do(func() {
		account := s.Accounts()[0]
		answer, err := s.Stranger(t).Try(http.MethodPost, "/auth/login", map[string]string{"email": account.Email, "password": account.Password})
		if err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("want 200, got %s", answer)
		}
		if err != nil {
			s.adminErr = err
			return
		}
		s.adminToken = decode[Session](t, answer).AccessToken
	})
	if s.adminErr != nil {
		t.Fatalf("sign the admin in: %v", s.adminErr)
	}
	return s.Stranger(t).With(s.adminToken)
}
