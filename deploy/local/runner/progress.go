package runner

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows what is being done. On a terminal the steps under way stand, with the seconds passed, in one line that changes;
// anywhere else there is a plain line when a step ends, and one before that if it takes long. Its methods may be used by several
// goroutines.
type progress struct {
	out      io.Writer
	terminal bool

	mu     sync.Mutex
	active []*step
	stop   chan struct{} // ends the redrawing
}

type step struct {
	p     *progress
	name  string
	begin time.Time
	slow  *time.Timer // says that it is under way; nil on a terminal
}

// longStep is how long a step takes before a reader of plain lines wonders what is going on.
const longStep = 2 * time.Second

func newProgress(out io.Writer) *progress {
	return &progress{out: out, terminal: IsTerminal(out)}
}

// IsTerminal says whether lines may be overwritten. /dev/null is a character device too, but nobody sees the difference there.
func IsTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// step begins a step.
func (p *progress) step(name string) *step {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &step{p: p, name: name, begin: time.Now()}
	p.active = append(p.active, s)
	if !p.terminal {
		s.slow = time.AfterFunc(longStep, func() { p.say("  ...  %s", name) })
		return s
	}
	if len(p.active) == 1 {
		p.stop = make(chan struct{})
		go p.redraw(p.stop)
	}
	p.clear()
	p.draw()
	return s
}

// done ends a step that succeeded.
func (s *step) done(format string, args ...any) { s.end("ok", fmt.Sprintf(format, args...)) }

// finish ends a step with its error, or as done.
func (s *step) finish(err error, format string, args ...any) error {
	if err != nil {
		s.end("--", "failed")
		return err
	}
	s.done(format, args...)
	return nil
}

func (s *step) end(mark, detail string) {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.slow != nil {
		s.slow.Stop()
	}
	for i, active := range p.active {
		if active == s {
			p.active = append(p.active[:i], p.active[i+1:]...)
		}
	}
	if len(p.active) == 0 && p.terminal {
		close(p.stop)
	}
	p.clear()
	fmt.Fprintf(p.out, "  %-4s %-28s %6.1f s  %s\n", mark, s.name, time.Since(s.begin).Seconds(), detail)
	p.draw()
}

// say writes a line of its own.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.out, format+"\n", args...)
	p.draw()
}

// Write lets others write whole lines between the steps.
func (p *progress) Write(text []byte) (int, error) {
	p.say("  %s", strings.TrimRight(string(text), "\n"))
	return len(text), nil
}

// redraw keeps the seconds going, twice a second so that none is skipped.
func (p *progress) redraw(stop <-chan struct{}) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.clear()
			p.draw()
			p.mu.Unlock()
		}
	}
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K") // to the line's begin, and erase it
	}
}

func (p *progress) draw() {
	if !p.terminal || len(p.active) == 0 {
		return
	}
	names := make([]string, len(p.active))
	for i, s := range p.active {
		names[i] = s.name
	}
	line := fmt.Sprintf("  ...  %s (%.0f s)", strings.Join(names, ", "), time.Since(p.active[0].begin).Seconds())
	// A line that wraps cannot be erased; 79 columns fit everywhere.
	if len(line) > 79 {
		line = line[:76] + "..."
	}
	fmt.Fprint(p.out, line)
}
