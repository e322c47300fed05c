package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"shop.example/platform/localstores"
)

// output is a Writer that a test may read while a stack writes to it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func options(t *testing.T) Options {
	t.Helper()
	if _, err := localstores.Find(); err != nil {
		t.Skip(err)
	}
	return Options{Data: filepath.Join(t.TempDir(), "data"), BinDir: fakePrograms(t), Throwaway: true, Output: &output{}}
}

func startStack(t *testing.T, o Options) *Stack {
	t.Helper()
	stack, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("Start: %v\n%s", err, o.Output)
	}
	t.Cleanup(func() { _ = stack.Stop(context.WithoutCancel(t.Context())) })
	return stack
}

func readStackFile(t *testing.T, data string) Description {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(data, "stack.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d Description
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func find(t *testing.T, d Description, name string, replica int) Process {
	t.Helper()
	for _, p := range d.Processes {
		if p.Name == name && p.Replica == replica {
			return p
		}
	}
	t.Fatalf("there is no %s, replica %d, in %+v", name, replica, d.Processes)
	return Process{}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// gone says whether a process has ended, collected by its parent or not.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestStackStartsAndStops(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Replicas = map[string]int{orderService: 2}
	o.Env = map[string]map[string]string{"*": {"LOG_LEVEL": "debug"}, orderService: {"LOG_LEVEL": "warn"}}
	stack := startStack(t, o)
	d := readStackFile(t, o.Data)

	// stack.json tells all: two stores, the provider, five services and a second replica.
	if len(d.Processes) != 9 {
		t.Errorf("%d processes, want 9", len(d.Processes))
	}
	for _, p := range d.Processes {
		if gone(p.PID) {
			t.Errorf("%s does not run", p.Name)
		}
		if !filepath.IsAbs(p.Log) || !fileExists(p.Log) {
			t.Errorf("%s: log %q is no absolute path of a file", p.Name, p.Log)
		}
	}
	provider := find(t, d, testpay, 1)
	if provider.Ledger != provider.HTTP+"/v1/ledger" || !strings.HasPrefix(provider.HTTP, "http://127.0.0.1:") {
		t.Errorf("testpay: http %q, ledger %q", provider.HTTP, provider.Ledger)
	}
	if d.Gateway != find(t, d, gateway, 1).HTTP || d.Gateway != stack.Gateway() {
		t.Errorf("gateway %q", d.Gateway)
	}
	if len(d.Accounts) != 2 || d.Accounts[0].Role != "admin" || d.Accounts[0].Password == "" || d.Accounts[0].Password == d.Accounts[1].Password {
		t.Errorf("accounts %+v", d.Accounts)
	}
	if info, err := os.Stat(filepath.Join(o.Data, "stack.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("stack.json, which holds passwords: %v, %v", info.Mode(), err)
	}

	// The processes know each other, and nothing that is not theirs.
	orders, orders2 := find(t, d, orderService, 1), find(t, d, orderService, 2)
	if got, want := get(t, d.Gateway+"/env?name=ORDER_SERVICE_ADDR"), orders.GRPC+","+orders2.GRPC; got != want {
		t.Errorf("ORDER_SERVICE_ADDR = %q, want %q", got, want)
	}
	if got := get(t, "http://"+orders.Admin+"/env?name=LOG_LEVEL"); got != "warn" {
		t.Errorf("order-service LOG_LEVEL = %q: its own override counts", got)
	}
	if got := get(t, "http://"+find(t, d, userService, 1).Admin+"/env?name=LOG_LEVEL"); got != "debug" {
		t.Errorf("user-service LOG_LEVEL = %q: the override for all counts", got)
	}

	// Each service's role opens its own database only.
	for _, name := range databases {
		conn, err := pgx.Connect(t.Context(), d.Databases[name])
		if err != nil {
			t.Fatalf("database %s: %v", name, err)
		}
		if _, err := conn.Exec(t.Context(), `CREATE TABLE mine (id int)`); err != nil {
			t.Errorf("database %s: its owner cannot create a table: %v", name, err)
		}
		conn.Close(t.Context())
	}
	foreign := strings.Replace(d.Databases["users"], "/users?", "/orders?", 1)
	if conn, err := pgx.Connect(t.Context(), foreign); err == nil {
		conn.Close(t.Context())
		t.Error("the users' role opens the orders")
	}

	if err := stack.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	for _, p := range d.Processes {
		if !gone(p.PID) {
			t.Errorf("%s (process %d) still runs", p.Name, p.PID)
		}
	}
	if fileExists(filepath.Join(o.Data, "stack.json")) {
		t.Error("stack.json is still there")
	}

	// A second start finds the data, and the same passwords.
	again := startStack(t, o)
	if got := again.Accounts()[0]; got != d.Accounts[0] {
		t.Errorf("account %+v, want %+v", got, d.Accounts[0])
	}
}

func TestOneDataFolderOneRunner(t *testing.T) {
	t.Parallel()
	o := options(t)
	startStack(t, o)
	_, err := Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a second runner: %v, want an error that names process %d and --data", err, os.Getpid())
	}
	if !fileExists(filepath.Join(o.Data, "stack.json")) {
		t.Error("the second runner removed the first one's stack.json")
	}
}

// A service that dies while starting is told with its last words, and nothing stays behind.
func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Env = map[string]map[string]string{cartService: {"FAKE": "dies"}}
	stack, err := Start(t.Context(), o)
	if stack != nil || err == nil {
		t.Fatal("Start succeeded")
	}
	for _, want := range []string{"cart-service", "exit status 3", "last words of cart-service", "cart-service-1.log"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	assertNothingUses(t, o.Data)
	if fileExists(filepath.Join(o.Data, "stack.json")) {
		t.Error("there is a stack.json")
	}
}

// Ctrl-C while starting.
func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Env = map[string]map[string]string{orderService: {"FAKE": "never ready"}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Start(ctx, o)
		ended <- err
	}()
	eventually(t, "the order service is being started", func() bool {
		return fileExists(filepath.Join(o.Data, "log", "order-service-1.log"))
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want that it was cancelled", err)
	}
	assertNothingUses(t, o.Data)
}

// assertNothingUses looks for processes at work in a data folder: each has its own or the log folder as its working directory.
func assertNothingUses(t *testing.T, data string) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range found {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, data+"/") {
			t.Errorf("%s is at work in %s", link, at)
		}
	}
}

func TestDeadProcessesComeBack(t *testing.T) {
	t.Parallel()
	o := options(t)
	stack := startStack(t, o)
	before := readStackFile(t, o.Data)
	for _, name := range []string{productService, redisName, postgresName} {
		if err := stack.Kill(name, 1); err != nil {
			t.Fatal(err)
		}
	}
	// One that ends by itself is brought back like one that was killed. The connection breaks as it does.
	if response, err := http.Get("http://" + find(t, before, userService, 1).Admin + "/exit"); err == nil {
		response.Body.Close()
	}
	for _, name := range []string{productService, redisName, postgresName, userService} {
		old := find(t, before, name, 1)
		eventually(t, name+" runs again and stack.json says so", func() bool {
			now := find(t, readStackFile(t, o.Data), name, 1)
			return now.PID != old.PID && now.PID != 0 && now.Admin == old.Admin && !gone(now.PID)
		})
	}
	report := o.Output.(*output).String()
	for _, want := range []string{"product-service (replica 1) died (signal: killed)", "user-service (replica 1) died (exit status 4)", "runs again"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	conn, err := pgx.Connect(t.Context(), before.Databases["orders"])
	if err != nil {
		t.Fatalf("the URL of before does not open the restarted database: %v", err)
	}
	conn.Close(t.Context())
}

func TestDownStaysDownUntilUp(t *testing.T) {
	t.Parallel()
	o := options(t)
	stack := startStack(t, o)
	before := find(t, stack.Describe(), cartService, 1)
	if err := stack.Down(t.Context(), cartService, 1); err != nil {
		t.Fatal(err)
	}
	if !gone(before.PID) || find(t, readStackFile(t, o.Data), cartService, 1).PID != 0 {
		t.Error("it still runs, or stack.json says so")
	}
	if err := stack.Kill(cartService, 1); !errors.Is(err, errDown) {
		t.Errorf("Kill of what is down: %v", err)
	}
	if err := stack.Up(t.Context(), cartService, 1); err != nil {
		t.Fatal(err)
	}
	if now := find(t, readStackFile(t, o.Data), cartService, 1); now.PID == before.PID || gone(now.PID) {
		t.Errorf("after Up: process %d", now.PID)
	}
	if err := stack.Restart(t.Context(), "no-such-service", 1); err == nil {
		t.Error("Restart of what there is not: nil")
	}
}

func TestLostStaysDownUntilUp(t *testing.T) {
	t.Parallel()
	o := options(t)
	stack := startStack(t, o)
	before := find(t, stack.Describe(), cartService, 1)
	if err := stack.Lose(cartService, 1); err != nil {
		t.Fatal(err)
	}
	if !gone(before.PID) || find(t, readStackFile(t, o.Data), cartService, 1).PID != 0 {
		t.Error("it still runs, or stack.json says so")
	}
	if err := stack.Lose(cartService, 1); !errors.Is(err, errDown) {
		t.Errorf("Lose of what is down: %v", err)
	}
	if err := stack.Up(t.Context(), cartService, 1); err != nil {
		t.Fatal(err)
	}
	if now := find(t, readStackFile(t, o.Data), cartService, 1); now.PID == 0 || gone(now.PID) {
		t.Errorf("after Up: process %d", now.PID)
	}
}

// The second Ctrl-C: what does not listen is not waited for.
func TestAbortStopsHard(t *testing.T) {
	t.Parallel()
	o := options(t)
	abort := make(chan struct{})
	o.Abort = abort
	o.Env = map[string]map[string]string{orderService: {"FAKE": "stubborn"}}
	stack := startStack(t, o)
	d := stack.Describe()
	ended := make(chan error, 1)
	go func() { ended <- stack.Stop(t.Context()) }()
	eventually(t, "the gateway has stopped, so that it is the order service's turn", func() bool { return gone(find(t, d, gateway, 1).PID) })
	close(abort)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "order-service") {
		t.Errorf("Stop = %v, want that the order service was killed", err)
	}
	for _, p := range d.Processes {
		if !gone(p.PID) {
			t.Errorf("%s (process %d) still runs", p.Name, p.PID)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), Options{Root: t.TempDir(), Data: t.TempDir(), Port: port})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(port)) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("Start = %v, want an error that names port %d and --port", err, port)
	}
}
