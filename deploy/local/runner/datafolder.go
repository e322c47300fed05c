package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// dataFolder is the folder that a stack keeps everything in. Only one runner at a time uses it.
type dataFolder struct {
	path string
	lock *os.File
}

// lockName is both the lock and the mark by which a folder of ours is known.
const lockName = "runner.lock"

// contents are the names of what a runner makes in the folder, and all that a reset removes.
var contents = []string{"bin", "keys", "log", "postgres", "redis", "secrets.json", "stack.json", "testpay"}

// openData makes and locks the folder.
func openData(path string) (*dataFolder, error) {
	if err := refuseForeign(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w (choose another with --data)", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be written to: %w (choose another with --data)", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(lock.Name())
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data in %s is in use by another runner (process %s): stop that one, or choose another folder with --data",
				path, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f := &dataFolder{path: path, lock: lock}
	if err := lock.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("the data folder cannot be written to: %w", err), f.close())
	}
	if _, err := lock.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("the data folder cannot be written to: %w", err), f.close())
	}
	return f, nil
}

// refuseForeign keeps a mistyped --data from spreading our files over somebody's folder, and --reset from removing his.
func refuseForeign(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) || len(entries) == 0 && err == nil || fileExists(filepath.Join(path, lockName)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data folder cannot be read: %w (choose another with --data)", err)
	}
	return fmt.Errorf("%s holds other files: choose a new or empty folder with --data", path)
}

// reset removes everything but the lock.
func (f *dataFolder) reset() error {
	for _, name := range contents {
		if err := os.RemoveAll(f.at(name)); err != nil {
			return fmt.Errorf("reset: %w", err)
		}
	}
	return nil
}

// prepare makes the folders that are used directly.
func (f *dataFolder) prepare() error {
	for name, mode := range map[string]os.FileMode{"log": 0o755, "keys": 0o700, "testpay": 0o700} {
		if err := os.MkdirAll(f.at(name), mode); err != nil {
			return fmt.Errorf("the data folder cannot be written to: %w (choose another with --data)", err)
		}
	}
	return nil
}

func (f *dataFolder) at(elements ...string) string {
	return filepath.Join(append([]string{f.path}, elements...)...)
}

// close gives the folder free. The lock file stays: removing it would let two runners hold "the" lock, one on the old file.
func (f *dataFolder) close() error { return f.lock.Close() }
