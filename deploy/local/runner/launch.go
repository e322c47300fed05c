package runner

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"shop.example/platform/localstores/child"
)

// running is a started process that can be watched and stopped; both our services and the stores are.
type running interface {
	PID() int
	Done() <-chan struct{}
	Err() error
	// Stop ends it gracefully while ctx lasts, and hard then.
	Stop(ctx context.Context) error
	// Kill ends it as kill -9 does.
	Kill()
}

// program is a running program of ours: SIGTERM makes it drain and end.
type program struct{ *child.Process }

func (p program) Stop(ctx context.Context) error { return p.Process.Stop(ctx, syscall.SIGTERM) }

const (
	// readyTimeout bounds a start: a service takes a fraction of a second, its first migrations a few on a slow disk.
	readyTimeout = 60 * time.Second
	// lookEvery is how often an unready process is asked: a start of 300 ms should not be felt to be longer.
	lookEvery = 20 * time.Millisecond
	// tailLines are shown of the log of a process that died.
	tailLines = 20
)

// launch starts a process and waits until all its ready URLs answer 200. When it dies before that, or does not become ready, the error
// holds the last lines of its log.
func launch(ctx context.Context, path string, env []string, logFile string, readyURLs []string) (running, error) {
	process, offset, err := start(path, nil, env, logFile)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, process, readyURLs); err != nil {
		process.Kill()
		<-process.Done()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w; the last lines of its log (%s):\n%s", filepath.Base(path), err, logFile, logTail(logFile, offset, tailLines))
	}
	return program{process}, nil
}

// start starts a program with its output appended to a log, and returns where in the log it begins.
func start(path string, args, env []string, logFile string) (*child.Process, int64, error) {
	log, err := openLog(logFile)
	if err != nil {
		return nil, 0, err
	}
	defer log.Close() // the child has its own
	offset, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	process, err := child.Start(child.Spec{
		Path: path, Args: args, Env: env, Dir: filepath.Dir(logFile), Output: log,
		OnParentDeath: syscall.SIGKILL, // nobody would collect or restart it any more; every service survives that by design
	})
	return process, offset, err
}

// runToEnd runs a command of a service, such as bootstrap-admin, to its end.
func runToEnd(ctx context.Context, path, command string, env []string, logFile string) error {
	process, offset, err := start(path, []string{command}, env, logFile)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		process.Kill()
		<-process.Done()
		return ctx.Err()
	}
	if err := process.Err(); err != nil {
		return fmt.Errorf("%s %s failed: %w; the last lines of its log (%s):\n%s",
			filepath.Base(path), command, err, logFile, logTail(logFile, offset, tailLines))
	}
	return nil
}

// awaitReady asks one URL after another until the answer is 200.
func awaitReady(ctx context.Context, process *child.Process, urls []string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	last := "no answer"
	for len(urls) > 0 {
		ready, answer := ask(ctx, urls[0])
		if ready {
			urls = urls[1:]
			continue
		}
		if answer != "" {
			last = answer
		}
		select {
		case <-process.Done():
			return fmt.Errorf("died while starting (%s)", endOf(process))
		case <-ctx.Done():
			return fmt.Errorf("not ready after %.0f s (%s: %s)", readyTimeout.Seconds(), urls[0], last)
		case <-ticker.C:
		}
	}
	return nil
}

// askClient has no keep-alive: the processes that it asks come and go.
var askClient = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask asks a ready URL once and returns the beginning of an answer that is not 200.
func ask(ctx context.Context, url string) (ready bool, answer string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := askClient.Do(request)
	if err != nil {
		return false, ""
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return true, ""
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // a hint only: what could be read is enough
	return false, fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body)))
}

// endOf says how a process ended.
func endOf(process interface{ Err() error }) string {
	if err := process.Err(); err != nil {
		return err.Error()
	}
	return "exit status 0"
}
