package localstores

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Programs are the server programs found on this machine.
type Programs struct {
	postgres []postgresPrograms // newest first
	redis    string
}

// postgresPrograms is one installed version of PostgreSQL.
type postgresPrograms struct {
	major            int
	version          string
	initdb, postgres string
}

// MissingError says which servers this machine lacks and how to get them.
type MissingError struct {
	Postgres, Redis bool
}

func (e *MissingError) Error() string {
	var missing []string
	if e.Postgres {
		missing = append(missing, "PostgreSQL server")
	}
	if e.Redis {
		missing = append(missing, "Redis server")
	}
	return strings.Join(missing, " and ") + ` not found; please install:
  Debian, Ubuntu:  sudo apt-get install postgresql redis-server
  Fedora:          sudo dnf install postgresql-server postgresql-contrib valkey
  macOS:           brew install postgresql@17 redis
They need not run as services: private servers are started from the programs alone.`
}

// Ensure finds the server programs. What is missing is installed when this is root on Debian or Ubuntu, with progress written to
// out; elsewhere it is a *MissingError.
func Ensure(ctx context.Context, out io.Writer) (*Programs, error) {
	programs, err := Find()
	if err == nil || !canInstall() {
		return programs, err
	}
	if err := install(ctx, out); err != nil {
		return nil, err
	}
	return Find()
}

// Find finds the server programs; *MissingError if there are none.
func Find() (*Programs, error) {
	programs := &Programs{postgres: findPostgres(postgresFolders()), redis: findRedis()}
	if len(programs.postgres) == 0 || programs.redis == "" {
		return nil, &MissingError{Postgres: len(programs.postgres) == 0, Redis: programs.redis == ""}
	}
	return programs, nil
}

// FindRedis finds Redis alone; *MissingError if it is not there.
func FindRedis() (*Programs, error) {
	programs := &Programs{redis: findRedis()}
	if programs.redis == "" {
		return nil, &MissingError{Redis: true}
	}
	return programs, nil
}

// postgresFolders lists where PostgreSQL's programs may be: the PATH, and the places where the systems' packages put the server
// without adding it to the PATH.
func postgresFolders() []string {
	folders := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",            // Debian, Ubuntu
		"/usr/pgsql-*/bin",                     // PostgreSQL's own packages for Fedora and Red Hat
		"/opt/homebrew/opt/postgresql@*/bin",   // Homebrew, Apple silicon
		"/usr/local/opt/postgresql@*/bin",      // Homebrew, Intel
		"/home/linuxbrew/.linuxbrew/opt/*/bin", // Homebrew, Linux
		"/Applications/Postgres.app/Contents/Versions/latest/bin",
	} {
		found, _ := filepath.Glob(pattern) // the only error is a bad pattern
		folders = append(folders, found...)
	}
	return folders
}

// findPostgres returns the versions in the folders, each once, newest first.
func findPostgres(folders []string) []postgresPrograms {
	var found []postgresPrograms
	seen := map[string]bool{}
	for _, folder := range folders {
		// A link in the PATH leads to the folder where the programs stand together: initdb looks for postgres beside itself.
		program, err := filepath.EvalSymlinks(filepath.Join(folder, "postgres"))
		if err != nil || seen[program] {
			continue
		}
		seen[program] = true
		initdb := filepath.Join(filepath.Dir(program), "initdb")
		if _, err := os.Stat(initdb); err != nil {
			continue
		}
		answer, err := exec.Command(program, "--version").Output()
		if err != nil {
			continue
		}
		if version, major, ok := parsePostgresVersion(string(answer)); ok {
			found = append(found, postgresPrograms{major: major, version: version, initdb: initdb, postgres: program})
		}
	}
	slices.SortStableFunc(found, func(a, b postgresPrograms) int { return cmp.Compare(b.major, a.major) })
	return found
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[.\w]*)`)

// parsePostgresVersion reads "postgres (PostgreSQL) 15.18 (Debian …)".
func parsePostgresVersion(answer string) (version string, major int, ok bool) {
	match := postgresVersion.FindStringSubmatch(answer)
	if match == nil {
		return "", 0, false
	}
	major, err := strconv.Atoi(match[2])
	return match[1], major, err == nil
}

// findRedis prefers Redis; Valkey, which Fedora ships in its place, speaks the same protocol and reads the same configuration.
func findRedis() string {
	folders := filepath.SplitList(os.Getenv("PATH"))
	folders = append(folders, "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin")
	for _, name := range []string{"redis-server", "valkey-server"} {
		for _, folder := range folders {
			path := filepath.Join(folder, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path
			}
		}
	}
	return ""
}

// choose returns the version that made the data, because PostgreSQL opens no other's; the newest for new data (major 0).
func (p *Programs) choose(major int) (postgresPrograms, error) {
	if major == 0 {
		return p.postgres[0], nil
	}
	var have []string
	for _, candidate := range p.postgres {
		if candidate.major == major {
			return candidate, nil
		}
		have = append(have, candidate.version)
	}
	return postgresPrograms{}, fmt.Errorf("the data was made by PostgreSQL %d, but this machine (%s) has %s: install version %d, or start anew without the data",
		major, runtime.GOOS, strings.Join(have, ", "), major)
}
