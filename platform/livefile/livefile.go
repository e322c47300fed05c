// Package livefile keeps what comes from files that may be replaced while the process runs: keys and certificates. Whoever
// issues new ones only has to write them.
package livefile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookAgainAfter is how long files are believed without looking at them again: a stat of each a second at most, however
// often the value is needed, and a second more of an old one harms nobody.
const lookAgainAfter = time.Second

// Options say what a value is made of.
type Options[T any] struct {
	// Name is what the value is, for the log, such as "signing keys".
	Name string
	// Files are what Load reads.
	Files []string
	// Load makes the value. It is never called twice at a time.
	Load func() (T, error)
	// Describe returns attributes of a value for the log. It must not return secrets.
	Describe func(T) []any
	Log      *slog.Logger
	Now      func() time.Time
}

// Value is what the files say now.
type Value[T any] struct {
	o       Options[T]
	current atomic.Pointer[T]
	checked atomic.Int64 // when the files were looked at last, in Unix nanoseconds

	// looking is held by the one who looks at the files. The others take what is there: a volume that hangs holds up one of
	// them, and not all.
	looking  sync.Mutex
	loaded   []stamp // of the files that the value comes from
	lastFail string  // so that a broken file is logged once, not every second
}

// stamp tells whether a file was changed.
type stamp struct {
	modified time.Time
	size     int64
}

// Open makes the value and fails if it can't. From then on Get makes it anew when a file has changed. If that fails, because
// the new files are broken or only half of them is there yet, the old value stays in use and the reason is logged.
func Open[T any](o Options[T]) (*Value[T], error) {
	v := &Value[T]{o: o}
	if err := v.load(); err != nil {
		return nil, err
	}
	v.checked.Store(o.Now().UnixNano())
	return v, nil
}

// Get returns the value, after a look at the files if the last one was long enough ago.
func (v *Value[T]) Get() T {
	now := v.o.Now().UnixNano()
	if now-v.checked.Load() >= int64(lookAgainAfter) && v.looking.TryLock() {
		defer v.looking.Unlock()
		v.checked.Store(now)
		v.look()
	}
	return *v.current.Load()
}

func (v *Value[T]) look() {
	found, err := v.stat()
	if err == nil && equal(found, v.loaded) {
		v.lastFail = "" // whatever was wrong was taken back
		return
	}
	if err == nil {
		err = v.load()
	}
	attrs := append([]any{"what", v.o.Name}, v.o.Describe(*v.current.Load())...)
	switch {
	case err == nil:
		v.lastFail = ""
		v.o.Log.Info("reloaded", attrs...)
	case err.Error() != v.lastFail:
		v.lastFail = err.Error()
		v.o.Log.Error("not reloaded, what was there stays in use", append(attrs, "error", err)...)
	}
}

// load replaces the value, or leaves it as it is and says why.
func (v *Value[T]) load() error {
	found, err := v.stat() // before reading: a change in between is seen as one next time
	if err != nil {
		return err
	}
	value, err := v.o.Load()
	if err != nil {
		return err
	}
	v.current.Store(&value)
	v.loaded = found
	return nil
}

func (v *Value[T]) stat() ([]stamp, error) {
	found := make([]stamp, len(v.o.Files))
	var errs []error
	for i, name := range v.o.Files {
		info, err := os.Stat(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", v.o.Name, err))
			continue
		}
		found[i] = stamp{info.ModTime(), info.Size()}
	}
	return found, errors.Join(errs...)
}

func equal(a, b []stamp) bool {
	for i := range a {
		if !a[i].modified.Equal(b[i].modified) || a[i].size != b[i].size {
			return false
		}
	}
	return true
}
