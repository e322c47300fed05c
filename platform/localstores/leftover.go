package localstores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// look is how often a condition is looked at that the system cannot announce: often enough that a start does not feel it
// (a server takes 50 ms and more), seldom enough to cost nothing.
const look = 10 * time.Millisecond

// stopLeftover stops a server that still runs on the data folder although the runner that started it is gone. pidFile is what
// the server wrote there. A process that has the id by chance is left alone.
func stopLeftover(ctx context.Context, pidFile, dataFolder, program string, graceful, hard syscall.Signal) error {
	pid := readPID(pidFile)
	if pid <= 1 || !runsOn(pid, dataFolder, program) {
		return nil
	}
	// Its owner is gone, so nobody waits for it; ten seconds are enough for the checkpoint of a development database.
	for _, sig := range []syscall.Signal{graceful, hard} {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s (process %d), left over from an earlier run: %w", program, pid, err)
		}
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := until(wait, func() (bool, error) { return !runsOn(pid, dataFolder, program), nil })
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s (process %d) still runs on %s and does not stop: end it by hand", program, pid, dataFolder)
}

// readPID reads the process id in the first line of a file; 0 if there is none.
func readPID(path string) int {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// runsOn says whether process pid is the program at work in the folder. Both servers make their data folder their working
// directory; where the system does not show that (no /proc), the name has to do.
func runsOn(pid int, dataFolder, program string) bool {
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if err != nil {
			return false
		}
		folder, err := filepath.EvalSymlinks(dataFolder)
		return err == nil && at == folder
	}
	command, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(command), program)
}

// until waits for a condition. It returns the condition's error or the context's.
func until(ctx context.Context, condition func() (bool, error)) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lastLines returns the last n lines of a text, without empty ones at its end.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
