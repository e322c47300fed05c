package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// doorClient goes through the REST door, as the demo customer does. Ten seconds are twice what the gateway gives a request.
var doorClient = &http.Client{Timeout: 10 * time.Second}

// registerCustomer makes the demo customer's account where everybody makes one. That it exists already is fine.
func (s *Stack) registerCustomer(ctx context.Context) error {
	customer := s.Accounts()[1]
	body, err := json.Marshal(map[string]string{"email": customer.Email, "password": customer.Password, "name": "Demo Customer"})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Gateway()+"/api/v1/auth/register", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := doorClient.Do(request)
	if err != nil {
		return fmt.Errorf("register the demo customer: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("register the demo customer: %w", err)
	}
	var problem struct {
		Code string `json:"code"`
	}
	switch {
	case response.StatusCode == http.StatusCreated:
		return nil
	case response.StatusCode == http.StatusConflict && json.Unmarshal(answer, &problem) == nil && problem.Code == "email_taken":
		return nil
	default:
		return fmt.Errorf("register the demo customer: the gateway answers %d: %s", response.StatusCode, answer)
	}
}

// shippingMethod asks for the first way of shipping, for the order in the summary.
func (s *Stack) shippingMethod(ctx context.Context) string {
	const usual = "standard"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Gateway()+"/api/v1/shipping-methods", nil)
	if err != nil {
		return usual
	}
	response, err := doorClient.Do(request)
	if err != nil {
		return usual
	}
	defer response.Body.Close()
	var methods struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&methods); err != nil || len(methods.Items) == 0 {
		return usual
	}
	return methods.Items[0].ID
}
