// Package child runs server processes that must not outlive the program that started them.
//
// A child leads a process group of its own, so that a Ctrl-C in the terminal reaches only the parent, which then stops its
// children in order. On Linux the kernel also signals the child when the parent dies without having had the chance (kill -9,
// out of memory); elsewhere such a child survives, and the next start has to deal with it.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Account is the operating system account that a child runs under.
type Account struct {
	Name     string
	UID, GID uint32
}

// Spec says what to start.
type Spec struct {
	Path string
	Args []string
	// Env is the whole environment; a child inherits nothing.
	Env []string
	Dir string
	// Stdin is what the child reads; nil means nothing.
	Stdin io.Reader
	// Output takes stdout and stderr. It is a file and not a writer so that no line passes through, or is lost with, the parent.
	Output *os.File
	// Files are the child's descriptors 3, 4 and so on.
	Files []*os.File
	// Account is the account to run under; nil means the parent's. Only root can change it.
	Account *Account
	// OnParentDeath is the signal that the kernel sends when the parent is gone (Linux only).
	OnParentDeath syscall.Signal
}

// Process is a started child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}

	err error // written once, before done is closed
}

// Start starts a child.
func Start(spec Spec) (*Process, error) {
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env = spec.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would mean the parent's environment
	}
	cmd.Dir = spec.Dir
	cmd.Stdin = spec.Stdin
	if spec.Output != nil {
		cmd.Stdout, cmd.Stderr = spec.Output, spec.Output
	}
	cmd.ExtraFiles = spec.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr, spec.OnParentDeath)
	if spec.Account != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: spec.Account.UID, Gid: spec.Account.GID}
	}
	if err := startOnLastingThread(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended: nil for exit code 0. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal signals the process itself; a process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends the process and everything else in its process group at once.
func (p *Process) Kill() {
	select {
	case <-p.done: // its id may belong to somebody else by now
		return
	default:
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	_ = p.cmd.Process.Kill()
}

// Stop sends the graceful signal, waits as long as ctx allows, and kills then. It returns when the process is
// gone, with nil if the graceful signal was enough.
func (p *Process) Stop(ctx context.Context, graceful syscall.Signal) error {
	if err := p.Signal(graceful); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.Kill()
	<-p.done
	return fmt.Errorf("process %d did not stop in time and was killed", p.PID())
}

// The kernel ties "signal me when my parent dies" to the thread that started the child, not to the process: a Go thread that
// ends would take the child with it. All children are therefore started by one goroutine that keeps its thread for good.
var (
	starterOnce sync.Once
	starts      = make(chan startRequest)
)

type startRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func startOnLastingThread(cmd *exec.Cmd) error {
	starterOnce.Do(func() {
		go func() {
			runtime.LockOSThread()
			for request := range starts {
				request.result <- request.cmd.Start()
			}
		}()
	})
	request := startRequest{cmd: cmd, result: make(chan error, 1)}
	starts <- request
	return <-request.result
}
