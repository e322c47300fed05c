package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"shop.example/platform/localstores"
)

// asProgram makes the test binary the program itself.
const asProgram = "LOCAL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{
		"--port", "8090", "--data", "shop-data", "--replicas", "order-service=2,cart-service=3", "--replicas", "user-service=2",
		"--reset", "--no-demo", "--rate-limit", "off",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.Port != 8090 || o.Data != "shop-data" || !o.Reset || !o.NoDemo || !o.NoRateLimit {
		t.Errorf("got %+v", o)
	}
	if want := map[string]int{"order-service": 2, "cart-service": 3, "user-service": 2}; !maps.Equal(o.Replicas, want) {
		t.Errorf("replicas %v, want %v", o.Replicas, want)
	}
	if o, err := parse(nil, io.Discard); err != nil || o.Port != 8080 || o.NoRateLimit || o.Reset || o.NoDemo {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	for _, wrong := range [][]string{{"--rate-limit", "maybe"}, {"--replicas", "order-service"}, {"--replicas", "order-service=two"}, {"start"}, {"--no-such-flag"}} {
		if _, err := parse(wrong, io.Discard); err == nil {
			t.Errorf("%v: no error", wrong)
		}
	}
}

func TestWithStoresPassesTheExitCode(t *testing.T) {
	t.Parallel()
	if _, err := localstores.Find(); err != nil {
		t.Skip(err)
	}
	cmd := program("with-stores", "--", "sh", "-c", `echo "$TEST_POSTGRES_URL $TEST_REDIS_URL"; exit 7`)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("with-stores: %v, want exit code 7", err)
	}
	if !strings.Contains(string(out), "postgres://postgres:") || !strings.Contains(string(out), "redis://default:") {
		t.Errorf("the command saw %q", out)
	}
}

func TestWithStoresWantsACommand(t *testing.T) {
	t.Parallel()
	out, err := program("with-stores", "--").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "needs a command") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	args := []string{"keys", "--out", filepath.Join(t.TempDir(), "keys")}
	if os.Geteuid() == 0 {
		args = append(args, "--uid", "65532")
	}
	for range 2 { // the second time keeps what is there
		if out, err := program(args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	info, err := os.Stat(filepath.Join(args[2], "order-service-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("a private key may be read by others: %v", info.Mode())
	}
	if stat := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && (stat.Uid != 65532 || stat.Gid != 65532) {
		t.Errorf("it belongs to %d:%d, want 65532:65532", stat.Uid, stat.Gid)
	}
}
