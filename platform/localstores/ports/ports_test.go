package ports_test

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"shop.example/platform/localstores/ports"
)

func TestReserveGivesEachPortOnce(t *testing.T) {
	t.Parallel()
	const n = 50
	reserved := make(chan int, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			port, err := ports.Reserve()
			if err != nil {
				t.Error(err)
				return
			}
			reserved <- port
		})
	}
	wg.Wait()
	close(reserved)
	seen := map[int]bool{}
	for port := range reserved {
		if seen[port] {
			t.Errorf("port %d was given twice", port)
		}
		seen[port] = true
		if err := ports.Free(port); err != nil {
			t.Error(err)
		}
		ports.Release(port)
	}
}

func TestFreeSeesAListener(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	if err := ports.Free(port); err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("Free(%d) = %v, want an error that names the port", port, err)
	}
}

// Processes do not give each other's ports: a second process, asked for many, gets none of the first one's.
func TestReserveExcludesOtherProcesses(t *testing.T) {
	const n = 300
	if os.Getenv("PORTS_TEST_CHILD") != "" {
		for range n {
			port, err := ports.Reserve()
			if err != nil {
				t.Fatal(err)
			}
			os.Stdout.WriteString("port " + strconv.Itoa(port) + "\n")
		}
		return
	}
	mine := map[string]bool{}
	for range n {
		port, err := ports.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		mine["port "+strconv.Itoa(port)] = true
		t.Cleanup(func() { ports.Release(port) })
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestReserveExcludesOtherProcesses$")
	cmd.Env = append(os.Environ(), "PORTS_TEST_CHILD=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "port ") {
			continue
		}
		got++
		if mine[strings.TrimSpace(line)] {
			t.Errorf("the other process was given %s too", strings.TrimSpace(line))
		}
	}
	if got != n {
		t.Errorf("the other process got %d ports, want %d", got, n)
	}
}
