package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shop.example/platform/localstores/child"
)

// The test binary is its own child: the variable says which part to play.
const role = "CHILD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "wait": // until it is told to stop
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("ready")
		<-stop
		os.Exit(0)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		select {}
	case "parent": // starts a child, says its id, and waits to be killed
		p, err := child.Start(child.Spec{Path: os.Args[0], Env: []string{role + "=stubborn"}, OnParentDeath: syscall.SIGKILL})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		select {}
	default:
		os.Exit(m.Run())
	}
}

// start starts the test binary in a role and waits until it says that it is ready.
func start(t *testing.T, as string) *child.Process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := child.Start(child.Spec{Path: os.Args[0], Env: []string{role + "=" + as}, Output: w, OnParentDeath: syscall.SIGKILL})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	return p
}

func TestStopIsGracefulFirst(t *testing.T) {
	t.Parallel()
	p := start(t, "wait")
	if err := p.Stop(t.Context(), syscall.SIGTERM); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if err := p.Err(); err != nil {
		t.Errorf("the child ended with %v, want exit code 0", err)
	}
	p.Kill() // of a process that is gone: nothing happens
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	p := start(t, "stubborn")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); err == nil {
		t.Error("Stop of a stubborn process: nil, want an error that says it was killed")
	}
	var exit *exec.ExitError
	if err := p.Err(); !errors.As(err, &exit) {
		t.Errorf("the child ended with %v, want a signal", err)
	}
}

func TestChildLeadsItsOwnGroup(t *testing.T) {
	t.Parallel()
	p := start(t, "wait")
	group, err := syscall.Getpgid(p.PID())
	if err != nil || group != p.PID() {
		t.Errorf("process group %d, %v; want its own, %d", group, err, p.PID())
	}
}

func TestStartOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := child.Start(child.Spec{Path: "/no/such/program"}); err == nil {
		t.Error("Start: nil, want an error")
	}
}

// A parent that is killed with -9 leaves no child behind.
func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if !diesWithParent {
		t.Skip("only Linux tells a child about its parent's death")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = []string{role + "=parent"}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("parent said %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	// 10 s is far beyond what a kernel needs; an expected end is seen at the first or second look.
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for alive(pid) {
		select {
		case <-look.C:
		case <-deadline.C:
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("child %d still runs", pid)
		}
	}
}

// alive says whether a process runs; one that has ended but was not collected yet does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
