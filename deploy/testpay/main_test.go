package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shop.example/deploy/testpay/internal/ledger"
	"shop.example/deploy/testpay/internal/webhook"
)

const apiKey = "test-key"

// With this variable set, the test binary is the program itself, so that a test can kill it.
const beTestpay = "TESTPAY_BE_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beTestpay) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is a running testpay.
type program struct {
	t       testing.TB
	url     string
	process *exec.Cmd
}

func start(t testing.TB, ledgerFile string, env ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, process: exec.Command(self)}
	p.process.Env = append(append(os.Environ(), beTestpay+"=1", "API_KEY="+apiKey, "LEDGER_FILE="+ledgerFile), env...)
	out, err := p.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.process.Process.Kill(); _ = p.process.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line struct{ Msg, Addr, Error string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("log line %q: %v", lines.Text(), err)
		}
		if line.Error != "" {
			t.Fatal(line.Error)
		}
		if line.Msg == "listening" {
			p.url = "http://" + line.Addr
			break
		}
	}
	if p.url == "" {
		t.Fatal("ended before it listened")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
}

func (p *program) kill() {
	p.t.Helper()
	if err := p.process.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	_ = p.process.Wait() // says that it was killed
}

type answer struct {
	status   int
	replayed bool
	code     string
	payment  ledger.Payment
	body     string
}

func (p *program) call(ctx context.Context, method, path, key, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, replayed: response.Header.Get("Idempotency-Replayed") == "true", body: string(raw)}
	var problem struct {
		Error   struct{ Code string }
		Payment *ledger.Payment
	}
	if err := errors.Join(json.Unmarshal(raw, &problem), json.Unmarshal(raw, &a.payment)); err != nil {
		return a, fmt.Errorf("%s: %w", raw, err)
	}
	a.code = problem.Error.Code
	if problem.Payment != nil {
		a.payment = *problem.Payment
	}
	return a, nil
}

func (p *program) must(method, path, key, body string, status int) answer {
	p.t.Helper()
	a, err := p.call(p.t.Context(), method, path, key, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if a.status != status {
		p.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

func body(token, reference string) string {
	return fmt.Sprintf(`{"amount":1999,"currency":"EUR","token":%q,"reference":%q}`, token, reference)
}

func (p *program) ledger() (entries []ledger.Entry, totals map[string]ledger.Totals) {
	p.t.Helper()
	a := p.must("GET", "/v1/ledger", "", "", 200)
	var book struct {
		Entries []ledger.Entry
		Totals  []ledger.Totals
	}
	if err := json.Unmarshal([]byte(a.body), &book); err != nil {
		p.t.Fatal(err)
	}
	totals = map[string]ledger.Totals{}
	for _, t := range book.Totals {
		totals[t.Reference] = t
	}
	return book.Entries, totals
}

func TestPaymentOverHTTP(t *testing.T) {
	t.Parallel()
	p := start(t, filepath.Join(t.TempDir(), "ledger"))
	paid := p.must("POST", "/v1/payments", "a/1", body("tok_ok", "o1"), 201)
	if again := p.must("POST", "/v1/payments", "a/1", " "+body("tok_ok", "o1"), 201); !again.replayed || again.body != paid.body {
		t.Errorf("replay: %+v", again)
	}
	if a := p.must("POST", "/v1/payments", "a/1", body("tok_ok", "o2"), 422); a.code != "idempotency_key_reused" {
		t.Error(a.body)
	}
	for token, code := range map[string]string{"tok_declined": "card_declined", "tok_insufficient_funds": "insufficient_funds", "tok_error": "processing_failed"} {
		if a := p.must("POST", "/v1/payments", "d-"+token, body(token, "o3"), 402); a.code != code || a.payment.Status != "declined" {
			t.Error(a.body)
		}
	}
	path := "/v1/payments/" + paid.payment.ID
	p.must("POST", path+"/capture", "c", "", 200)
	if a := p.must("POST", path+"/void", "v", "{}", 409); a.code != "payment_captured" || a.payment.Captured != 1999 {
		t.Error(a.body)
	}
	p.must("POST", path+"/refunds", "r", `{"amount":500}`, 201)
	if a := p.must("GET", "/v1/payments/by-key/a%2F1", "", "", 200); a.payment.Status != "partially_refunded" || a.payment.Refunded != 500 {
		t.Error(a.body)
	}
	if a := p.must("POST", "/v1/payments/void-by-key", "vk", `{"key":"never"}`, 200); a.body != `{"key":"never","closed":true,"payment":null}`+"\n" {
		t.Error(a.body)
	}
	if a := p.must("POST", "/v1/payments", "never", body("tok_ok", "o4"), 409); a.code != "payment_voided" {
		t.Error(a.body)
	}
	_, totals := p.ledger()
	if got := totals["o1"]; got.Net != 1499 || got.Captures != 1 {
		t.Errorf("%+v", got)
	}
	if got := p.must("GET", "/v1/payments?reference=o3", "", "", 200); strings.Count(got.body, `"id"`) != 3 {
		t.Error(got.body)
	}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	p := start(t, filepath.Join(t.TempDir(), "ledger"))
	for _, c := range []struct {
		method, path, key, body string
		status                  int
		code                    string
	}{
		{"POST", "/v1/payments", "", body("tok_ok", "o"), 400, "idempotency_key_missing"},
		{"POST", "/v1/payments", strings.Repeat("k", 256), body("tok_ok", "o"), 400, "idempotency_key_invalid"},
		{"POST", "/v1/payments", "k", body("tok_new", "o"), 422, "invalid_token"},
		{"POST", "/v1/payments", "k", `{"amount":0,"currency":"EUR","token":"tok_ok","reference":"o"}`, 422, "invalid_request"},
		{"POST", "/v1/payments", "k", `{"amount":1,"currency":"eur","token":"tok_ok","reference":"o"}`, 422, "invalid_request"},
		{"POST", "/v1/payments", "k", `{"amount":1.5}`, 400, "malformed_request"},
		{"POST", "/v1/payments", "k", `{"price":1}`, 400, "malformed_request"},
		{"POST", "/v1/payments", "k", `{} {}`, 400, "malformed_request"},
		{"POST", "/v1/payments", "k", strings.Repeat(" ", 70_000), 413, "body_too_large"},
		{"POST", "/v1/payments/none/capture", "k", ``, 404, "not_found"},
		{"GET", "/v1/payments/none", "", ``, 404, "not_found"},
		{"GET", "/v1/payments", "", ``, 422, "invalid_request"},
		{"GET", "/v2", "", ``, 404, "not_found"},
		{"DELETE", "/v1/payments", "", ``, 405, "method_not_allowed"},
	} {
		if a := p.must(c.method, c.path, c.key, c.body, c.status); a.code != c.code {
			t.Errorf("%s %s %.40s: %s, want %s", c.method, c.path, c.body, a.code, c.code)
		}
	}
	for credentials, want := range map[string]int{"": 401, "wrong@": 401, apiKey + "@": 200, apiKey + ":@": 200} {
		response, err := http.Get(strings.Replace(p.url, "http://", "http://"+credentials, 1) + "/v1/ledger")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("credentials %q: %d, want %d", credentials, response.StatusCode, want)
		}
	}
}

func TestTimeoutTakesTheAuthorizationButSaysNothing(t *testing.T) {
	t.Parallel()
	p := start(t, filepath.Join(t.TempDir(), "ledger"))
	first, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	unanswered := make(chan error, 1)
	go func() {
		_, err := p.call(first, "POST", "/v1/payments", "k", body("tok_timeout", "o"))
		unanswered <- err
	}()
	for p.get("/v1/payments/by-key/k").status == 404 { // until the first attempt has arrived
	}
	if a := p.must("POST", "/v1/payments", "k", body("tok_timeout", "o"), 201); !a.replayed || a.payment.Status != "authorized" {
		t.Error(a.body)
	}
	select {
	case err := <-unanswered:
		t.Fatalf("the first attempt ended: %v", err)
	default:
	}
	// A silent call does not hold up the end.
	if err := p.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-unanswered; err == nil {
		t.Error("the first attempt was answered")
	}
	if err := p.process.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func (p *program) get(path string) answer {
	p.t.Helper()
	a, err := p.call(p.t.Context(), "GET", path, "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func TestALateAuthorizationIsToldByWebhookUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 24)
	var attempts atomic.Int64
	told := make(chan string, 10)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		h := r.Header
		if h.Get("Webhook-Signature") != "v1,"+webhook.Sign(secret, h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), raw) {
			t.Error("wrong signature")
		}
		if attempts.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		told <- string(raw)
	}))
	defer shop.Close()
	p := start(t, filepath.Join(t.TempDir(), "ledger"), "LATE_AFTER=50ms", "WEBHOOK_URL="+shop.URL,
		"WEBHOOK_SECRET=whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH")
	late := p.must("POST", "/v1/payments", "k", body("tok_late", "o"), 201)
	if late.payment.Status != "pending" {
		t.Error(late.body)
	}
	if event := <-told; !strings.Contains(event, `"type":"payment.authorized"`) || !strings.Contains(event, late.payment.ID) {
		t.Error(event)
	}
	if a := p.get("/v1/payments/" + late.payment.ID); a.payment.Status != "authorized" {
		t.Error(a.body)
	}
}

// TestKillInTheMiddle kills the process while clients authorize, several times over one ledger. Then everything that was
// answered is there, everything asked for again under its key is the same payment, and nothing is there twice.
func TestKillInTheMiddle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	const clients, rounds = 8, 4
	var mu sync.Mutex
	answered := map[string]string{} // key to payment id
	asked := map[string]bool{}
	for round := range rounds {
		p := start(t, path)
		var running sync.WaitGroup
		var count atomic.Int64
		enough := make(chan struct{})
		for client := range clients {
			running.Go(func() {
				for n := 0; ; n++ {
					key := fmt.Sprintf("k-%d-%d-%d", round, client, n)
					mu.Lock()
					asked[key] = true
					mu.Unlock()
					a, err := p.call(t.Context(), "POST", "/v1/payments", key, body("tok_ok", key))
					if err != nil {
						return // killed
					}
					if a.status != 201 {
						t.Errorf("%d %s", a.status, a.body)
						return
					}
					mu.Lock()
					answered[key] = a.payment.ID
					mu.Unlock()
					if count.Add(1) == int64(50*(round+1)) {
						close(enough)
					}
				}
			})
		}
		<-enough
		p.kill()
		running.Wait()
	}

	p := start(t, path)
	for key, id := range answered {
		if a := p.get("/v1/payments/by-key/" + key); a.payment.ID != id {
			t.Errorf("%s was answered with %s, and now is %s", key, id, a.body)
		}
	}
	for key := range asked {
		p.must("POST", "/v1/payments", key, body("tok_ok", key), 201)
	}
	_, totals := p.ledger()
	if len(totals) != len(asked) {
		t.Errorf("%d orders in the ledger, %d asked for", len(totals), len(asked))
	}
	for reference, got := range totals {
		if got.Payments != 1 || got.Authorized != 1999 {
			t.Errorf("%s: %+v", reference, got)
		}
	}
	t.Logf("%d answered, %d asked for", len(answered), len(asked))
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HTTP_ADDR": "nowhere", "LATE_AFTER": "soon", "LOG_LEVEL": "loud", "WEBHOOK_URL": "shop", "WEBHOOK_SECRET": "s3cret"}
	err := run(t.Context(), func(name string) string { return env[name] }, io.Discard)
	for _, name := range []string{"HTTP_ADDR", "LEDGER_FILE", "API_KEY", "LATE_AFTER", "LOG_LEVEL", "WEBHOOK_URL", "WEBHOOK_SECRET"} {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%v: does not name %s", err, name)
		}
	}
	if strings.Contains(fmt.Sprint(err), "s3cret") {
		t.Error("repeats a secret")
	}
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	p := start(t, filepath.Join(t.TempDir(), "ledger"))
	env := func(string) string { return strings.TrimPrefix(p.url, "http://") }
	if err := healthcheck(t.Context(), env); err != nil {
		t.Error(err)
	}
	p.kill()
	if err := healthcheck(t.Context(), env); err == nil {
		t.Error("a dead process is healthy")
	}
}

// BenchmarkAuthorize measures durable authorizations over TCP with 32 clients; the process writes a real file.
func BenchmarkAuthorize(b *testing.B) {
	p := start(b, filepath.Join(b.TempDir(), "ledger"))
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 32
	var next atomic.Int64
	var clients sync.WaitGroup
	began := time.Now()
	for range 32 {
		clients.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if a, err := p.call(b.Context(), "POST", "/v1/payments", fmt.Sprint("k", n), body("tok_ok", fmt.Sprint("o", n))); err != nil || a.status != 201 {
					b.Error(a.body, err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "requests/s")
}
