package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"shop.example/e2e/internal/shop"
)

// TestTheDocsPage reads and tries the documentation as people do: in a browser that reaches the gateway and nothing else.
func TestTheDocsPage(t *testing.T) {
	t.Parallel()
	path := browserPath(t)
	customer := shared.NewCustomer(t)
	// It takes seconds; on a machine that runs all tests at the same time, many more.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	seen := &pageEvents{}
	ctx, cancel = openBrowser(ctx, path, strings.TrimPrefix(shared.Gateway(), "http://"), seen)
	defer cancel()
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, seen)
		}
	}

	do("open the page", chromedp.Navigate(shared.Gateway()+"/docs"))
	credentials, err := json.Marshal(map[string]string{"email": customer.Email, "password": customer.Password})
	if err != nil {
		t.Fatal(err)
	}
	login := operation("post", shop.API+"/auth/login")
	do("fill the credentials in", tryOut(login),
		typeInto(login.part("textarea.body-param__text"), string(credentials)))
	status, body := execute(ctx, t, login, seen)
	for status == "429" { // as people do who are told to try again in a moment: see shop.Client.Try
		do("clear the answer", chromedp.Click(login.part(".btn-clear")))
		status, body = execute(ctx, t, login, seen)
	}
	if status != "200" {
		t.Fatalf("signing in from the page: %s", status)
	}
	var session shop.Session
	if err := json.Unmarshal([]byte(body), &session); err != nil || session.AccessToken == "" {
		t.Fatalf("the page shows no session: %v", err)
	}

	me := operation("get", shop.API+"/users/me")
	do("try without a token", tryOut(me))
	if status, _ = execute(ctx, t, me, seen); status != "401" {
		t.Errorf("before Authorize: %s", status)
	}
	do("authorize", chromedp.Click(chromedp.CSS(".scheme-container .authorize")),
		typeInto(chromedp.CSS(".auth-container input"), session.AccessToken),
		chromedp.Click(chromedp.CSS(".auth-btn-wrapper .authorize")), chromedp.Click(chromedp.CSS(".auth-btn-wrapper .btn-done")),
		chromedp.Click(me.part(".btn-clear"))) // what the page shows next is the new answer
	if status, body = execute(ctx, t, me, seen); status != "200" {
		t.Fatalf("a signed-in call from the page: %s", status)
	}
	var user shop.User
	if err := json.Unmarshal([]byte(body), &user); err != nil || user.ID != customer.ID {
		t.Errorf("the page says that I am %q, want %q (%v)", user.ID, customer.ID, err)
	}
	kept, err := chromedp.Run(ctx, chromedp.Evaluate[string](`JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie`))
	if err != nil || strings.Contains(kept, session.AccessToken) {
		t.Errorf("the page keeps the access token in the browser (%v)", err)
	}
	seen.check(t, shared.Gateway())
}

// browserPath finds chromium. Without one the test is skipped, unless E2E_BROWSER says that it is required.
func browserPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "there is no chromium in PATH: the documentation page is not tried in a browser (Debian: apt-get install chromium)"
	if os.Getenv("E2E_BROWSER") == "required" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// openBrowser starts a browser that can reach one host and nothing else: all other requests go to a proxy that does not exist.
func openBrowser(ctx context.Context, path, host string, seen *pageEvents) (context.Context, context.CancelFunc) {
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.WindowSize(1280, 1024),
		chromedp.ProxyServer("http://127.0.0.1:9"), // the discard port: nobody listens
		chromedp.Flag("proxy-bypass-list", "<-loopback>;"+host))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which chromium refuses to root
	}
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, closeTab := chromedp.NewContext(ctx, chromedp.WithListener(seen.add))
	return ctx, func() { closeTab(); stop() }
}

// block is the part of the page that stands for an operation, as a selector.
type block string

func operation(method, path string) block {
	return block(fmt.Sprintf(`.opblock-%s:has([data-path=%q])`, method, path))
}

func (b block) part(selector string) chromedp.CSS {
	return chromedp.CSS(string(b) + " " + selector)
}

// tryOut opens an operation for trying.
func tryOut(b block) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.Click(b.part(".opblock-summary-control")), chromedp.Click(b.part(".try-out__btn")))
}

// typeInto puts a text into a field in place of what stands there, at once: key by key, a token takes a busy browser half a minute.
func typeInto(field chromedp.CSS, text string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.Click(field), chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)),
		chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(ctx, tab, input.InsertText, input.InsertTextParams{Text: text})
			return err
		}))
}

// execute sends the request of an operation and returns what the page shows of the answer.
func execute(ctx context.Context, t *testing.T, b block, seen *pageEvents) (status, body string) {
	t.Helper()
	answer := ".live-responses-table tbody "
	err := chromedp.Do(ctx, chromedp.Click(b.part(".execute")), chromedp.WaitVisible(b.part(answer+".response-col_status")))
	if err == nil {
		status, err = chromedp.Run(ctx, chromedp.Text(b.part(answer+".response-col_status")))
	}
	if err == nil {
		body, err = chromedp.Run(ctx, chromedp.TextContent(b.part(answer+".highlight-code code")))
	}
	if err != nil {
		t.Fatalf("execute %s: %v\n%s", b, err, seen)
	}
	status, _, _ = strings.Cut(strings.TrimSpace(status), "\n")
	return status, body
}

// pageEvents is what a page did that matters here. The browser adds to it.
type pageEvents struct {
	mu       sync.Mutex
	requests []string // URLs
	faults   []string // errors and warnings of the console, uncaught exceptions, violations of the Content-Security-Policy
}

func (p *pageEvents) add(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *network.EventWebSocketCreated:
		p.requests = append(p.requests, e.URL)
	case *log.EventEntryAdded:
		p.faults = append(p.faults, fmt.Sprintf("%s %s: %s (%s)", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			p.faults = append(p.faults, fmt.Sprintf("console %s: %s", e.Type, arguments(e.Args)))
		}
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, "exception: "+e.ExceptionDetails.Text)
	}
}

func arguments(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		texts = append(texts, strings.TrimSpace(string(a.Value)+" "+a.Description))
	}
	return strings.Join(texts, " ")
}

func (p *pageEvents) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("requests: %q\nfaults: %q", p.requests, p.faults)
}

// check fails unless the page asked only its origin and complained of nothing.
func (p *pageEvents) check(t *testing.T, origin string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	own := 0
	for _, url := range p.requests {
		switch {
		case strings.HasPrefix(url, origin+"/"):
			own++
		case strings.HasPrefix(url, "data:"): // a picture that stands in the style sheet: nobody is asked
		default:
			t.Errorf("the page asks elsewhere: %s", url)
		}
	}
	const least = 6 // the page, its style, two scripts, the document, a call
	if own < least {
		t.Errorf("%d requests were seen, want at least %d", own, least)
	}
	for _, fault := range p.faults {
		// The one refusal that the test brings about.
		if strings.Contains(fault, http.StatusText(http.StatusUnauthorized)) && strings.Contains(fault, origin+shop.API+"/users/me") {
			continue
		}
		t.Errorf("the page complains: %s", fault)
	}
}
