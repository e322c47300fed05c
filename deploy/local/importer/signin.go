package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Account signs in to a shop, and stays signed in for as long as it is used.
type Account struct {
	URL, Email, Password string

	access, refresh string
	renewAt         time.Time
	client          http.Client
}

// Token returns an access token that is good for some time yet.
func (a *Account) Token(ctx context.Context, renew bool) (string, error) {
	if a.access != "" && !renew && time.Now().Before(a.renewAt) {
		return a.access, nil
	}
	if a.refresh != "" {
		if err := a.ask(ctx, "refresh", map[string]string{"refresh_token": a.refresh}); err == nil {
			return a.access, nil
		}
	}
	if err := a.ask(ctx, "login", map[string]string{"email": a.Email, "password": a.Password}); err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	return a.access, nil
}

func (a *Account) ask(ctx context.Context, how string, body map[string]string) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL+"/api/v1/auth/"+how, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresIn    int64  `json:"expires_in"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	a.access, a.refresh = answer.AccessToken, answer.RefreshToken
	// What is begun with a token may take as long as two thirds of its life.
	a.renewAt = time.Now().Add(time.Duration(answer.ExpiresIn) * time.Second / 3)
	return nil
}
