package livefile_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shop.example/platform/livefile"
)

// fixture is a value over one file: its text, which must not be empty.
type fixture struct {
	*livefile.Value[string]
	file string
	logs bytes.Buffer
	now  atomic.Int64 // seconds
	load func(text string) (string, error)
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{file: filepath.Join(t.TempDir(), "value")}
	f.load = func(text string) (string, error) {
		if text == "" {
			return "", errors.New("it is empty")
		}
		return text, nil
	}
	f.write(t, "one")
	var err error
	f.Value, err = livefile.Open(livefile.Options[string]{
		Name: "value", Files: []string{f.file},
		Load: func() (string, error) {
			text, err := os.ReadFile(f.file)
			if err != nil {
				return "", err
			}
			return f.load(string(text))
		},
		Describe: func(s string) []any { return []any{"length", len(s)} },
		Log:      slog.New(slog.NewTextHandler(&f.logs, nil)),
		Now:      func() time.Time { return time.Unix(f.now.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(f.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) later() string {
	f.now.Add(1)
	return f.Get()
}

func TestReload(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.write(t, "three")
	if got := f.Get(); got != "one" {
		t.Errorf("within the second it looked again and found %q", got)
	}
	if got := f.later(); got != "three" {
		t.Errorf("after the change: %q", got)
	}
	f.write(t, "")
	for range 3 {
		if got := f.later(); got != "three" {
			t.Errorf("with a broken file: %q", got)
		}
	}
	if n := strings.Count(f.logs.String(), "not reloaded"); n != 1 {
		t.Errorf("the broken file is in the log %d times:\n%s", n, &f.logs)
	}
	if err := os.Remove(f.file); err != nil {
		t.Fatal(err)
	}
	if got := f.later(); got != "three" {
		t.Errorf("without the file: %q", got)
	}
	f.write(t, "again")
	if got := f.later(); got != "again" {
		t.Errorf("after the repair: %q", got)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	_, err := livefile.Open(livefile.Options[int]{Name: "value", Files: []string{filepath.Join(t.TempDir(), "none")}, Now: time.Now})
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without its file: %v", err)
	}
}

// A volume that hangs holds up the one who looks, and nobody else.
func TestHangingFile(t *testing.T) {
	t.Parallel()
	f := open(t)
	began, done := make(chan struct{}), make(chan struct{})
	release := make(chan struct{})
	f.load = func(text string) (string, error) {
		close(began)
		<-release
		return text, nil
	}
	f.write(t, "other")
	f.now.Add(1)
	go func() {
		defer close(done)
		if got := f.Get(); got != "other" {
			t.Errorf("who looked got %q", got)
		}
	}()
	<-began
	for range 3 {
		if got := f.later(); got != "one" {
			t.Errorf("the others got %q", got)
		}
	}
	close(release)
	<-done
	if got := f.Get(); got != "other" {
		t.Errorf("afterwards: %q", got)
	}
}
