package localstores

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"shop.example/platform/localstores/child"
)

// Server is a running store.
type Server struct {
	// Version is the server program's version.
	Version string
	// Addr is where it listens, host:port.
	Addr string
	// URL opens it with all rights, credentials included.
	URL string
	// LogFile is where it writes its log.
	LogFile string

	process  *child.Process
	graceful syscall.Signal
}

// PID is the process id.
func (s *Server) PID() int { return s.process.PID() }

// Done is closed when the server has ended, for whatever reason.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Err says how the server ended; it waits for the end.
func (s *Server) Err() error { return s.process.Err() }

// Stop lets the server write down what it has and end; when ctx ends first it is killed, which loses nothing that was committed
// but makes the next start recover.
func (s *Server) Stop(ctx context.Context) error { return s.process.Stop(ctx, s.graceful) }

// Kill ends the server as a power failure would.
func (s *Server) Kill() { s.process.Kill() }

// startTimeout bounds the wait for an answer. A development database recovers in a second or two; a slow disk gets the rest.
const startTimeout = 60 * time.Second

// launch starts a server and waits until ready says yes. A server that ends before that is an error with its last words.
func launch(ctx context.Context, name string, spec child.Spec, logFile string, ready func(context.Context, *child.Process) (bool, error)) (*child.Process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer out.Close()
	before, err := out.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	spec.Output = out
	process, err := child.Start(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, explain(err, spec.Account))
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = until(ctx, func() (bool, error) {
		select {
		case <-process.Done():
			return false, fmt.Errorf("it ended: %w", cmp.Or(process.Err(), errors.New("exit code 0")))
		default:
			return ready(ctx, process)
		}
	})
	if err != nil {
		process.Kill()
		<-process.Done()
		return nil, fmt.Errorf("%s did not start: %w; its last words (%s):\n%s", name, err, logFile, writtenSince(logFile, before))
	}
	return process, nil
}

// explain adds what a refusal to change the account means.
func explain(err error, account *child.Account) error {
	if account != nil && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL)) {
		return fmt.Errorf("%w (this root may not start programs as %s: run it as an ordinary user instead)", err, account.Name)
	}
	return err
}

// writtenSince returns the last lines written to a log after an offset, indented.
func writtenSince(path string, offset int64) string {
	content, err := os.ReadFile(path)
	if err != nil || int64(len(content)) <= offset {
		return "  (nothing)"
	}
	return "  " + strings.ReplaceAll(lastLines(string(content[offset:]), 20), "\n", "\n  ")
}

// environment is what a server gets to see: the PATH, and a neutral language for its messages.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LC_MESSAGES=C", "TZ=UTC"}
}
