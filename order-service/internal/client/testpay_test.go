package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

const (
	apiKey = "key-of-the-test"
	// impatient is how long a call may take: short, because one test waits for it to pass, and still many times what an
	// answer takes on a busy machine.
	impatient = 500 * time.Millisecond
)

var (
	price = money.MustNew(3990, "EUR")
	quiet = slog.New(slog.DiscardHandler)
	// program is the built provider, and shared one of its processes.
	program string
	shared  *process
)

func TestMain(m *testing.M) {
	code, err := withProvider(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withProvider runs the tests beside the real provider, built once.
func withProvider(tests func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "testpay")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program = filepath.Join(dir, "testpay")
	build := exec.Command("go", "-C", "../../../deploy/testpay", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build testpay: %w: %s", err, out)
	}
	if shared, err = startProvider(filepath.Join(dir, "ledger")); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, shared.stop()) }()
	return tests(), nil
}

// process is a running provider.
type process struct {
	url   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when its log has ended
}

// startProvider starts a provider, with more of an environment if need be.
func startProvider(ledger string, env ...string) (*process, error) {
	p := &process{cmd: exec.Command(program), ended: make(chan struct{})}
	// LATE_AFTER: long enough for the answer to tok_late to come first.
	p.cmd.Env = append([]string{"HTTP_ADDR=127.0.0.1:0", "LEDGER_FILE=" + ledger, "API_KEY=" + apiKey, "LATE_AFTER=200ms", "SHUTDOWN_TIMEOUT=5s"}, env...)
	log, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	addr := make(chan string, 1)
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				addr <- line.Addr
			}
		}
	}()
	select {
	case at := <-addr:
		p.url = "http://" + at
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("the provider ended: %w", p.cmd.Wait())
	case <-time.After(30 * time.Second):
		return nil, errors.Join(errors.New("the provider does not listen"), p.cmd.Process.Kill())
	}
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	return p.cmd.Wait()
}

// kill ends the process as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	_ = p.cmd.Wait() // it says that it was killed
}

func (p *process) client() *client.TestPay { return client.NewTestPay(p.url, apiKey, impatient, quiet) }

func TestTestPay(t *testing.T) {
	t.Parallel()
	usecasetest.RunPayments(t, func(*testing.T) usecasetest.PaymentProvider {
		return usecasetest.PaymentProvider{Payments: shared.client()}
	})
}

// While the provider is away everything is unavailable, and nothing is taken for settled. When it is back, it knows all.
func TestProviderAway(t *testing.T) {
	t.Parallel()
	ledger := filepath.Join(t.TempDir(), "ledger")
	first, err := startProvider(ledger)
	if err != nil {
		t.Fatal(err)
	}
	order := uuid.New()
	key := order.String() + ":1"
	made, err := first.client().Authorize(t.Context(), key, order, price, usecasetest.TokOK)
	if err != nil {
		t.Fatal(err)
	}
	first.kill(t)
	away := first.client()
	for name, call := range calls(away, key, order, made.ID) {
		if got, err := call(t.Context()); apperr.KindOf(err) != apperr.Unavailable || (got != usecase.ProviderPayment{}) {
			t.Errorf("%s: payment %+v, error %v (%v); want none, and unavailable", name, got, err, apperr.KindOf(err))
		}
	}

	second, err := startProvider(ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.stop(); err != nil {
			t.Error(err)
		}
	}()
	if got, err := second.client().Find(t.Context(), key); err != nil || got != made {
		t.Errorf("payment %+v, error %v; want %+v", got, err, made)
	}
	if got, err := second.client().Reverse(t.Context(), key); err != nil || got.Status != usecase.ProviderVoided {
		t.Errorf("payment %+v, error %v; want it voided", got, err)
	}
}

// A key that was changed at the provider and not here is our mistake: no customer's card was declined, and no token wrong.
func TestWrongAPIKey(t *testing.T) {
	t.Parallel()
	order := uuid.New()
	key := order.String() + ":1"
	stranger := client.NewTestPay(shared.url, "another-key", impatient, quiet)
	for name, call := range calls(stranger, key, order, "pay_x") {
		got, err := call(t.Context())
		if apperr.KindOf(err) != apperr.Internal || (got != usecase.ProviderPayment{}) {
			t.Errorf("%s: payment %+v, error %v (%v); want none, and internal", name, got, err, apperr.KindOf(err))
		}
		if err != nil && strings.Contains(err.Error(), "another-key") {
			t.Errorf("%s: the error repeats the key: %v", name, err)
		}
	}
	// Nothing has happened under the key.
	if got, err := shared.client().Authorize(t.Context(), key, order, price, usecasetest.TokOK); err != nil || got.Status != usecase.ProviderAuthorized {
		t.Errorf("payment %+v, error %v; want it authorized", got, err)
	}
}

// Of what somebody else has refunded in part the rest goes back.
func TestReverseOfWhatIsPartlyRefunded(t *testing.T) {
	t.Parallel()
	order := uuid.New()
	key := order.String() + ":1"
	provider := shared.client()
	made, err := provider.Authorize(t.Context(), key, order, price, usecasetest.TokOK)
	if err == nil {
		_, err = provider.Capture(t.Context(), key, made.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	refund(t, made.ID, 990)
	for range 2 {
		if got, err := provider.Reverse(t.Context(), key); err != nil || got.Status != usecase.ProviderRefunded {
			t.Errorf("payment %+v, error %v; want it refunded", got, err)
		}
	}
}

// What the bank never gives back is refused for good, and stays captured.
func TestReverseThatIsRefused(t *testing.T) {
	t.Parallel()
	order := uuid.New()
	key := order.String() + ":1"
	provider := shared.client()
	made, err := provider.Authorize(t.Context(), key, order, price, "tok_refund_refused")
	if err == nil {
		_, err = provider.Capture(t.Context(), key, made.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := provider.Reverse(t.Context(), key); !errors.Is(err, domain.ErrRefundFailed) {
			t.Errorf("payment %+v, error %v; want it refused", got, err)
		}
	}
	if got, err := provider.Find(t.Context(), key); err != nil || got.Status != usecase.ProviderCaptured || got.ID != made.ID {
		t.Errorf("payment %+v, error %v; want it captured", got, err)
	}
}

// refund gives money back past the shop, as an operator does at the provider.
func refund(t *testing.T, paymentID string, amount int64) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shared.url+"/v1/payments/"+paymentID+"/refunds",
		strings.NewReader(fmt.Sprintf(`{"amount": %d}`, amount)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Idempotency-Key", uuid.NewString())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("refund: %s %s, error %v", resp.Status, body, err)
	}
}

type call func(context.Context) (usecase.ProviderPayment, error)

// calls are all that the provider is asked.
func calls(p usecase.Payments, key string, order uuid.UUID, paymentID string) map[string]call {
	return map[string]call{
		"authorize": func(ctx context.Context) (usecase.ProviderPayment, error) {
			return p.Authorize(ctx, key, order, price, usecasetest.TokOK)
		},
		"find":    func(ctx context.Context) (usecase.ProviderPayment, error) { return p.Find(ctx, key) },
		"capture": func(ctx context.Context) (usecase.ProviderPayment, error) { return p.Capture(ctx, key, paymentID) },
		"refund": func(ctx context.Context) (usecase.ProviderPayment, error) {
			return p.Refund(ctx, key, key+":refund:1", price)
		},
		"reverse": func(ctx context.Context) (usecase.ProviderPayment, error) { return p.Reverse(ctx, key) },
	}
}
