package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"shop.example/deploy/local/runner"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpu is the time that processes have used, by name. That of PostgreSQL is spent in its children.
func cpu(processes []runner.Process) (map[string]time.Duration, error) {
	all, err := readProcesses("/proc")
	if err != nil {
		return nil, fmt.Errorf("read the processes' times: %w", err)
	}
	used := map[string]time.Duration{Self: all[os.Getpid()].used}
	for _, p := range processes {
		used[p.Name] += all.family(p.PID)
	}
	return used, nil
}

// process is what /proc says of one: used includes its children that have ended.
type process struct {
	parent int
	used   time.Duration
}

type processes map[int]process

// family is the time of a process and all that have come from it; 0 if it is not there.
func (all processes) family(pid int) time.Duration {
	sum := all[pid].used
	if pid == 0 {
		return 0 // it is down
	}
	for child, p := range all {
		if p.parent == pid {
			sum += all.family(child)
		}
	}
	return sum
}

func readProcesses(proc string) (processes, error) {
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("there is no /proc here: it takes Linux")
	}
	all := processes{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || err != nil && len(raw) == 0 {
			continue // it has ended meanwhile
		}
		pid, p, err := parseStat(string(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[pid] = p
	}
	return all, nil
}

// parseStat reads a line of /proc/PID/stat (proc(5)): the second field is a name in parentheses, which may hold anything.
func parseStat(line string) (pid int, p process, err error) {
	name, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if name < 0 || end < name {
		return 0, p, errors.New("there is no name in it")
	}
	// After the name: state, ppid, and from the 12th on utime, stime, cutime, cstime.
	fields := strings.Fields(line[end+1:])
	const parent, utime, cstime = 1, 11, 14
	if len(fields) <= cstime {
		return 0, p, fmt.Errorf("it has only %d fields", len(fields))
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line[:name])); err != nil {
		return 0, p, err
	}
	if p.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return 0, p, err
	}
	for _, field := range fields[utime : cstime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, p, err
		}
		p.used += time.Duration(ticks) * tick
	}
	return pid, p, nil
}
