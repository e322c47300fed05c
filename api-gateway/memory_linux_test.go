package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"shop.example/platform/devca"
)

// memory is the gateway as it is shipped, in a process of its own: what it takes is told by the kernel, and the test's own
// memory is not in it.
type memory struct {
	pid int
	url string
}

func startProcess(t *testing.T, settings ...string) memory {
	t.Helper()
	ca, binary := t.TempDir(), filepath.Join(t.TempDir(), "api-gateway")
	if err := devca.Create(ca, []string{"api-gateway"}); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	addr, identity := freeAddr(t), devca.Files(ca, "api-gateway")
	command := exec.CommandContext(context.Background(), binary)
	command.Env = append([]string{
		"HTTP_ADDR=" + addr, "ADMIN_ADDR=" + freeAddr(t), "DRAIN_DELAY=0s", "LOG_LEVEL=error",
		"USER_SERVICE_ADDR=" + freeAddr(t), "CART_SERVICE_ADDR=" + freeAddr(t), "ORDER_SERVICE_ADDR=" + freeAddr(t), "PRODUCT_SERVICE_ADDR=" + freeAddr(t),
		"TLS_CERT_FILE=" + identity.CertFile, "TLS_KEY_FILE=" + identity.KeyFile, "TLS_CA_FILE=" + identity.CAFile,
	}, settings...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	m := memory{pid: command.Process.Pid, url: "http://" + addr}
	until(t, "ready", func() bool {
		response, err := http.Get(m.url + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	return m
}

// peak is the most that the process had resident since forget, in KiB.
func (m memory) peak(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the kernel does not tell")
	return 0
}

// forget makes what the process has now its peak.
func (m memory) forget(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// send posts n bytes, in chunks if that is wanted, until they are sent or refused. It reports the status, 0 if the connection
// was broken off before there was one.
func (m memory) send(t *testing.T, n int64, chunked bool) int {
	t.Helper()
	length, field := n, fmt.Sprintf("Content-Length: %d", n)
	if chunked {
		field = "Transfer-Encoding: chunked"
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n%s\r\n\r\n", field)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		block := make([]byte, 64<<10)
		for i := range block {
			block[i] = ' '
		}
		for left := length; left > 0; left -= int64(len(block)) {
			if chunked {
				fmt.Fprintf(conn, "%x\r\n", len(block))
			}
			if _, err := conn.Write(block); err != nil {
				return // refused
			}
			if chunked {
				_, _ = io.WriteString(conn, "\r\n")
			}
		}
	}()
	answer := make([]byte, 12)
	_, err = io.ReadFull(conn, answer)
	if err != nil {
		return 0
	}
	<-sent
	status, _ := strconv.Atoi(string(answer[9:]))
	return status
}

func TestHugeBodiesTakeNoMemory(t *testing.T) {
	m := startProcess(t)
	for range 3 {
		m.send(t, 1000, false) // what the first requests of any kind take is not the body's
	}
	for _, chunked := range []bool{false, true} {
		m.forget(t)
		before := m.peak(t)
		if status := m.send(t, 300<<20, chunked); status != http.StatusRequestEntityTooLarge {
			t.Errorf("chunked=%v: got %d", chunked, status)
		}
		grown := (m.peak(t) - before) >> 10
		t.Logf("300 MiB, chunked=%v: resident memory went from %d MiB up by %d MiB", chunked, before>>10, grown)
		if grown > 16 {
			t.Errorf("chunked=%v: it grew by %d MiB", chunked, grown)
		}
	}
}

// TestManyHugeBodiesAtOnce: within the memory that docker-compose.yml gives the container.
func TestManyHugeBodiesAtOnce(t *testing.T) {
	m := startProcess(t, "RATE_LIMIT=off", "GOMEMLIMIT=100MiB")
	m.forget(t)
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		statuses = make(map[int]int)
	)
	for i := range 1000 {
		all.Go(func() {
			status := m.send(t, 300<<20, i%2 == 0)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	peak := m.peak(t) >> 10
	t.Logf("1,000 at once: at most %d MiB were resident; answers %v", peak, statuses)
	if peak > 128 {
		t.Errorf("%d MiB", peak)
	}
	if statuses[http.StatusRequestEntityTooLarge] == 0 || statuses[http.StatusOK] > 0 || statuses[http.StatusInternalServerError] > 0 {
		t.Errorf("the answers are %v", statuses)
	}
	if status := m.send(t, 1000, false); status == 0 {
		t.Error("after it nobody is answered")
	}
}
