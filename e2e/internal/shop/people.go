package shop

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// The tests' own secrets bear these marks, by which they are found wherever they must not be.
const (
	passwordMark = "pass-word-of-a-test"
	streetMark   = "Street-of-a-test"
)

// NewPassword returns a password that nobody else has.
func NewPassword() string { return passwordMark + uuid.NewString()[:8] }

// NewEmail returns an address that nobody else has.
func NewEmail() string { return "customer-" + uuid.NewString() + "@e2e.example" }

// User is a person with an account.
type User struct {
	ID     string `json:"id"`
	Email  string `json:"email"`
	Name   string `json:"name"`
	Role   string `json:"role"`
	Status string `json:"status"`
}

// Session is what signing in gives.
type Session struct {
	User         User   `json:"user"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
}

// Customer is a client who has signed in, with what he did it with.
type Customer struct {
	*Client
	ID, Email, Password string
}

// NewCustomer registers somebody.
func (s *Shop) NewCustomer(t testing.TB) *Customer {
	t.Helper()
	email, password := NewEmail(), NewPassword()
	session := Want[Session](t, http.StatusCreated, s.Stranger(t).Post("/auth/register",
		map[string]string{"email": email, "password": password, "name": "Erika Test"}))
	return &Customer{Client: s.Stranger(t).With(session.AccessToken), ID: session.User.ID, Email: email, Password: password}
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
