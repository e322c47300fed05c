package shop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/devca"
)

// SignedEvent returns the header fields with which the payment provider would send an event at a time (Standard Webhooks).
func (s *Shop) SignedEvent(t testing.TB, body string, at time.Time) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.data, "keys", devca.TestpayWebhookFile))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(raw)), "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	id, timestamp := "evt_"+uuid.NewString(), strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return []string{
		"Webhook-Id: " + id, "Webhook-Timestamp: " + timestamp,
		"Webhook-Signature: v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}
