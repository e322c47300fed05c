package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	userv1 "shop.example/proto/user/v1"
)

// SignIn is what a client gets by signing in.
type SignIn struct {
	User         User   `json:"user"`
	AccessToken  string `json:"access_token" doc:"A JWT, for the Authorization field."`
	RefreshToken string `json:"refresh_token" doc:"Good for one use at /auth/refresh."`
	TokenType    string `json:"token_type" enum:"Bearer"`
	ExpiresIn    int64  `json:"expires_in" doc:"Seconds until the access token expires."`
}

// KeySet is the public keys that verify access tokens (RFC 7517).
type KeySet struct {
	Keys []map[string]any `json:"keys"`
}

type registerInput struct {
	UserAgent
	Body struct {
		Email    string `json:"email" format:"email" maxLength:"254" example:"ada@example.com"`
		Password string `json:"password" minLength:"8" maxLength:"128" doc:"Not one of the well-known ones." example:"correct horse battery"`
		Name     string `json:"name" minLength:"1" maxLength:"200" example:"Ada Lovelace"`
	} `nameHint:"Registration"`
}

type loginInput struct {
	UserAgent
	Body struct {
		// The form is not checked: what can't be an address is answered like an unknown one.
		Email    string `json:"email" maxLength:"254" example:"ada@example.com"`
		Password string `json:"password" maxLength:"128" example:"correct horse battery"`
	} `nameHint:"Credentials"`
}

type refreshInput struct {
	UserAgent
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" example:"9f1c2b7e-refresh-1" doc:"Chosen by the client for this one refresh. A client that lost the answer sends the same token with the same key again, within a minute, and gets the same successor."`
	Body           struct {
		RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"512" example:"an-opaque-string"`
	} `nameHint:"RefreshToken"`
}

// UserAgent tells the owner of a session where it was opened.
type UserAgent struct {
	UserAgent string `header:"User-Agent" hidden:"true"`
}

// device describes the client for the list of sessions.
func (u UserAgent) device(ctx context.Context) *userv1.Device {
	agent := strings.ToValidUTF8(u.UserAgent, "")
	// user-service keeps 512 characters; no real one is longer.
	if utf8.RuneCountInString(agent) > 512 {
		agent = string([]rune(agent)[:512])
	}
	return &userv1.Device{UserAgent: agent, Ip: exchangeOf(ctx).client.String()}
}

type signInOutput struct{ Body SignIn }

type (
	noInput  struct{}
	noOutput struct{}
)

func (s *Server) registerIdentity() {
	tags := []string{"identity"}
	register(s, huma.Operation{
		OperationID: "register", Method: http.MethodPost, Path: base + "/auth/register", DefaultStatus: http.StatusCreated,
		Summary: "Become a customer", Tags: tags,
		Description: "Whoever registers is a customer and signed in.",
		Metadata:    map[string]any{metaProof: proofPassword},
	}, s.register, "email_taken")
	register(s, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: base + "/auth/login",
		Summary: "Sign in", Tags: tags,
		Description: "An unknown address and a wrong password are answered alike. After repeated failures the answer is 429 for a while.",
		Metadata:    map[string]any{metaProof: proofPassword},
	}, s.login, "invalid_credentials")
	register(s, huma.Operation{
		OperationID: "refresh", Method: http.MethodPost, Path: base + "/auth/refresh",
		Summary: "Get a new pair of tokens", Tags: tags,
		Description: "The refresh token is spent. One that was spent before is 401 `refresh_token_reused` and ends the session, unless it " +
			"comes within a minute with the same Idempotency-Key as before.",
		Metadata: map[string]any{metaIdempotency: keyOptional, metaProof: proofToken},
	}, s.refresh, "unauthenticated", "refresh_token_reused")
	register(s, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: base + "/auth/logout", DefaultStatus: http.StatusNoContent,
		Summary: "Sign out", Tags: tags,
		Description: "The session's access and refresh tokens stop working.",
	}, s.logout)
	register(s, huma.Operation{
		OperationID: "get-signing-keys", Method: http.MethodGet, Path: "/.well-known/jwks.json", Responses: notModified(),
		Summary: "The keys that verify access tokens", Tags: tags,
		Description: "A JSON Web Key Set. It holds several keys while they are being changed.",
	}, s.signingKeys)
}

func (s *Server) register(ctx context.Context, in *registerInput) (*signInOutput, error) {
	answer, err := s.services.Auth.Register(ctx, &userv1.RegisterRequest{
		// Spaces around it are a slip of the clipboard, here as when signing in.
		Email: strings.TrimSpace(in.Body.Email), Password: in.Body.Password, Name: in.Body.Name, Device: in.device(ctx),
	})
	if err != nil {
		return nil, err
	}
	return signInOf(answer.GetUser(), answer.GetTokens()), nil
}

func (s *Server) login(ctx context.Context, in *loginInput) (*signInOutput, error) {
	answer, err := s.services.Auth.Login(ctx, &userv1.LoginRequest{
		Email: in.Body.Email, Password: in.Body.Password, Device: in.device(ctx),
	})
	if err != nil {
		return nil, err
	}
	return signInOf(answer.GetUser(), answer.GetTokens()), nil
}

func (s *Server) refresh(ctx context.Context, in *refreshInput) (*signInOutput, error) {
	answer, err := s.services.Auth.Refresh(ctx, &userv1.RefreshRequest{
		RefreshToken: in.Body.RefreshToken, Device: in.device(ctx), IdempotencyKey: in.IdempotencyKey,
	})
	if err != nil {
		return nil, err
	}
	return signInOf(answer.GetUser(), answer.GetTokens()), nil
}

func (s *Server) logout(ctx context.Context, _ *noInput) (*noOutput, error) {
	_, err := s.services.Auth.Logout(ctx, &userv1.LogoutRequest{})
	return &noOutput{}, err
}

func (s *Server) signingKeys(ctx context.Context, in *IfNoneMatch) (*Cacheable[KeySet], error) {
	answer, err := s.services.Auth.GetSigningKeys(ctx, &userv1.GetSigningKeysRequest{})
	if err != nil {
		return nil, err
	}
	var set KeySet
	if err := json.Unmarshal(answer.GetJwks(), &set); err != nil {
		return nil, fmt.Errorf("parse the key set of user-service: %w", err)
	}
	return publicAnswer(*in, set)
}

func signInOf(u *userv1.User, t *userv1.Tokens) *signInOutput {
	return &signInOutput{Body: SignIn{
		User: userOf(u), AccessToken: t.GetAccessToken(), RefreshToken: t.GetRefreshToken(), TokenType: "Bearer", ExpiresIn: t.GetExpiresIn(),
	}}
}
