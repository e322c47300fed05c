// Package webhook tells the shop about late authorizations, at least once each, in the form of Standard Webhooks.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"shop.example/deploy/testpay/internal/ledger"
)

const (
	// attemptTimeout is ample for a shop that only has to write the event down.
	attemptTimeout = 10 * time.Second
	// The first retry comes soon, because most failures are restarts; the last ones do not press a shop that is down.
	firstBackOff = 500 * time.Millisecond
	maxBackOff   = 30 * time.Second

	secretPrefix = "whsec_"
	// minSecret is what Standard Webhooks demands, in bytes.
	minSecret = 24
)

// Notices are the events that are to be told; the ledger keeps them until Notified, across restarts.
type Notices interface {
	NextNotice(ctx context.Context) (ledger.Payment, error)
	Notified(paymentID string) error
}

// Sender sends to one URL.
type Sender struct {
	URL    string
	Secret []byte
	Client *http.Client
	Now    func() time.Time
	Log    *slog.Logger
}

// ParseSecret reads "whsec_" and base64.
func ParseSecret(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, fmt.Errorf("must begin with %s", secretPrefix)
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("must be base64 after %s", secretPrefix)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("must hold at least %d bytes", minSecret)
	}
	return secret, nil
}

// Run sends one event after the other until ctx is done. An event that is not accepted is tried again and again:
// there is one receiver, so nothing behind it would fare better.
func (s *Sender) Run(ctx context.Context, notices Notices) {
	for {
		payment, err := notices.NextNotice(ctx)
		if err != nil {
			return // the end, or a ledger that failed and ends the process
		}
		for wait := firstBackOff; ; wait = min(2*wait, maxBackOff) {
			err := s.send(ctx, payment)
			if err == nil {
				break
			}
			s.Log.WarnContext(ctx, "webhook not accepted", "payment_id", payment.ID, "error", err, "again_in", wait.String())
			select {
			case <-time.After(wait/2 + rand.N(wait/2)):
			case <-ctx.Done():
				return
			}
		}
		if err := notices.Notified(payment.ID); err != nil {
			return
		}
	}
}

type event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	Data      struct {
		Payment ledger.Payment `json:"payment"`
	} `json:"data"`
}

func (s *Sender) send(ctx context.Context, payment ledger.Payment) error {
	// One payment is authorized late once, so its id names the event in every attempt, in any process.
	e := event{ID: "evt_" + strings.TrimPrefix(payment.ID, "pay_"), Type: "payment.authorized", CreatedAt: s.Now().UTC().Truncate(time.Millisecond)}
	e.Data.Payment = payment
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(s.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", e.ID)
	request.Header.Set("Webhook-Timestamp", timestamp)
	request.Header.Set("Webhook-Signature", "v1,"+Sign(s.Secret, e.ID, timestamp, body))
	response, err := s.Client.Do(request)
	if err != nil {
		return err
	}
	// Read to the end, within reason, so that the connection can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	_ = response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

// Sign returns the base64 HMAC-SHA256 over id, timestamp and body.
func Sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	_, _ = mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
