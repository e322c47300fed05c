package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Back-off between restarts of a process that keeps dying: at once enough for a single fault not to be felt, and in the end seldom
// enough not to fill the log and the machine.
const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 10 * time.Second
	// settled is how long a process must have run for its next death to count as the first again.
	settled = 30 * time.Second
)

// unit is one supervised process: it is started, watched, started again when it dies, and kept down when that is wanted.
type unit struct {
	name    string
	replica int
	stage   int
	log     string
	launch  func(context.Context) (running, error) // starts it and returns when it is ready
	report  func(format string, args ...any)
	changed func() // a process was started in place of another; called without the lock

	mu       sync.Mutex // held while it is being started or stopped
	current  running    // nil while it is down; see set
	started  time.Time
	logBegin int64 // where in the log the current process begins
	failures int   // deaths in a row

	pid atomic.Int64 // of current, 0 while it is down; may be read while the unit is busy

	life  context.Context // ends when the unit is to be down
	lives sync.Mutex      // guards life and end
	end   context.CancelFunc
	revs  sync.WaitGroup // the goroutines that watch it
}

func (u *unit) String() string { return fmt.Sprintf("%s (replica %d)", u.name, u.replica) }

// up starts the process and begins to watch it. A unit that is up stays as it is.
func (u *unit) up(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current != nil {
		return nil
	}
	u.renew()
	return u.startLocked(ctx)
}

// startLocked starts the process; u.mu is held.
func (u *unit) startLocked(ctx context.Context) error {
	begin := logSize(u.log)
	process, err := u.launch(ctx)
	if err != nil {
		return err
	}
	u.set(process)
	u.started, u.logBegin = time.Now(), begin
	life := u.alive()
	u.revs.Go(func() { u.watch(life, process) })
	return nil
}

// down stops the process and keeps it down. While ctx lasts the process may finish what it is doing.
func (u *unit) down(ctx context.Context) error {
	u.finish() // first: it also ends a restart that is under way, which holds the lock
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current == nil {
		return nil
	}
	err := u.current.Stop(ctx)
	u.set(nil)
	if err != nil {
		return fmt.Errorf("stop %s: %w", u, err)
	}
	return nil
}

// watch waits for the end of a process and, unless that end was wanted, starts it again.
func (u *unit) watch(life context.Context, process running) {
	select {
	case <-process.Done():
	case <-life.Done():
		return
	}
	u.mu.Lock()
	if life.Err() != nil || u.current != process {
		u.mu.Unlock()
		return
	}
	u.set(nil)
	if time.Since(u.started) > settled {
		u.failures = 0
	}
	lastWords := logTail(u.log, u.logBegin, 5)
	u.mu.Unlock()
	u.report("%s died (%s); the last lines of its log (%s):\n%s", u, endOf(process), u.log, lastWords)
	for {
		wait := min(firstBackoff<<min(u.failures, 10), lastBackoff)
		u.failures++
		select {
		case <-time.After(wait):
		case <-life.Done():
			return
		}
		restarted, done := u.revive(life)
		if restarted {
			u.changed()
		}
		if done {
			return
		}
	}
}

// revive starts the process again, and says whether it did and whether there is nothing more to do.
func (u *unit) revive(life context.Context) (restarted, done bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if life.Err() != nil || u.current != nil {
		return false, true
	}
	begin := time.Now()
	if err := u.startLocked(life); err != nil {
		if life.Err() == nil {
			u.report("%s could not be started again: %v", u, err)
		}
		return false, false
	}
	u.report("%s runs again, ready after %.1f s", u, time.Since(begin).Seconds())
	return true, true
}

// set changes the current process; u.mu is held.
func (u *unit) set(process running) {
	u.current = process
	if process == nil {
		u.pid.Store(0)
		return
	}
	u.pid.Store(int64(process.PID()))
}

var errDown = errors.New("is not running")

// kill ends the process as kill -9 does; supervision brings it back.
func (u *unit) kill() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current == nil {
		return fmt.Errorf("%s %w", u, errDown)
	}
	u.current.Kill()
	return nil
}

// lose ends the process as kill -9 does and keeps it down.
func (u *unit) lose() error {
	u.finish() // first, as in down
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current == nil {
		return fmt.Errorf("%s %w", u, errDown)
	}
	u.current.Kill()
	<-u.current.Done()
	u.set(nil)
	return nil
}

func (u *unit) renew() {
	u.lives.Lock()
	defer u.lives.Unlock()
	u.life, u.end = context.WithCancel(context.Background())
	u.failures = 0
}

func (u *unit) alive() context.Context {
	u.lives.Lock()
	defer u.lives.Unlock()
	return u.life
}

func (u *unit) finish() {
	u.lives.Lock()
	defer u.lives.Unlock()
	if u.end != nil {
		u.end()
	}
}
