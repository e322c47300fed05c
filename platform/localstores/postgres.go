package localstores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"shop.example/platform/localstores/child"
	"shop.example/platform/localstores/ports"
)

// PostgresOptions says how to run PostgreSQL.
type PostgresOptions struct {
	// Dir is the data folder; it is made and initialized by the first start.
	Dir string
	// Port on the loopback address; 0 chooses one, which stays reserved for this process.
	Port int
	// Password of the superuser "postgres". It is set when the data is made and must be the same ever after.
	Password string
	// LogFile takes the server's log.
	LogFile string
	// Throwaway gives durability up for speed: for tests, whose data nobody misses.
	Throwaway bool
}

// StartPostgres starts PostgreSQL and returns when it accepts connections. A server that an earlier, killed owner left running
// on the same data is stopped first.
func (p *Programs) StartPostgres(ctx context.Context, o PostgresOptions) (*Server, error) {
	account, err := unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	data, err := openFolder(o.Dir, account)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL's data folder: %w", err)
	}
	defer data.close() // the server has its own copy of the descriptor
	program, err := p.initialize(ctx, data, o)
	if err != nil {
		return nil, err
	}
	pidFile := filepath.Join(data.path, "postmaster.pid")
	if err := stopLeftover(ctx, pidFile, data.path, "postgres", syscall.SIGINT, syscall.SIGQUIT); err != nil {
		return nil, err
	}
	if o.Port == 0 {
		if o.Port, err = ports.Reserve(); err != nil {
			return nil, err
		}
	}
	spec := child.Spec{
		Path: program.postgres, Args: postgresArgs(data.seen(), o), Env: environment(), Dir: "/",
		Files: data.files(), Account: account,
		OnParentDeath: syscall.SIGINT, // a fast shutdown: it writes a checkpoint, and the next start has nothing to recover
	}
	process, err := launchPostgres(ctx, spec, o.LogFile, pidFile)
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	login := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", o.Password), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}
	return &Server{
		Version: program.version, Addr: addr, URL: login.String(), LogFile: o.LogFile,
		process: process, graceful: syscall.SIGINT,
	}, nil
}

func postgresArgs(dir string, o PostgresOptions) []string {
	settings := []string{
		"listen_addresses=127.0.0.1",
		// No socket in the file system: all go through TCP, and the limit of 107 bytes for a socket's path never matters.
		"unix_socket_directories=",
		// Three services, replicas of each, and tests with a pool per database: PostgreSQL's 100 are too few.
		"max_connections=300",
	}
	if o.Throwaway {
		// With the least of WAL, what is loaded into a new or truncated table is not written twice.
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
	}
	args := []string{"-D", dir, "-p", strconv.Itoa(o.Port)}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

// launchPostgres starts the server. When the last one was killed, its helper processes may hold the shared memory for a moment
// longer, which the new one refuses to touch: it is tried again, for ten seconds at most.
func launchPostgres(ctx context.Context, spec child.Spec, logFile, pidFile string) (*child.Process, error) {
	giveUp := time.Now().Add(10 * time.Second)
	for {
		process, err := launch(ctx, "PostgreSQL", spec, logFile, func(_ context.Context, process *child.Process) (bool, error) {
			return postgresReady(pidFile, process.PID()), nil
		})
		if err == nil || ctx.Err() != nil || time.Now().After(giveUp) || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return process, err
		}
	}
}

// postgresReady reads the state that the server keeps in line 8 of its pid file, as pg_ctl does. The first line must name this
// very process: a server that was killed leaves its file behind.
func postgresReady(pidFile string, pid int) bool {
	content, err := os.ReadFile(pidFile)
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// initialize makes the data folder's content by the first start and returns the programs of the version that it belongs to.
func (p *Programs) initialize(ctx context.Context, data *folder, o PostgresOptions) (postgresPrograms, error) {
	version, err := os.ReadFile(filepath.Join(data.path, "PG_VERSION"))
	switch {
	case err == nil && fileExists(filepath.Join(data.path, initializedMark)):
		major, err := strconv.Atoi(strings.TrimSpace(string(version)))
		if err != nil {
			return postgresPrograms{}, fmt.Errorf("%s: PG_VERSION holds no version: %w", data.path, err)
		}
		return p.choose(major)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return postgresPrograms{}, err
	}
	// Nothing there, or an initialization that was interrupted and in which nobody has stored anything.
	program, err := p.choose(0)
	if err != nil {
		return postgresPrograms{}, err
	}
	if err := empty(data.path); err != nil {
		return postgresPrograms{}, err
	}
	if err := initdb(ctx, program, data, o); err != nil {
		return postgresPrograms{}, err
	}
	return program, data.mark(initializedMark)
}

// initializedMark is a file that says that initdb came to its end.
const initializedMark = "shop-initialized"

func initdb(ctx context.Context, program postgresPrograms, data *folder, o PostgresOptions) error {
	password, err := passwordFile(o.Password, data.account)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(password))
	args := []string{
		"-D", data.seen(), "-U", "postgres", "--auth=scram-sha-256", "--pwfile=" + password,
		"--encoding=UTF8", "--no-instructions",
		// Sorting by bytes is the same everywhere and fast; upper and lower case know all of Unicode.
		"--locale=C", "--lc-ctype=" + unicodeLocale(),
	}
	if o.Throwaway {
		args = append(args, "--no-sync")
	}
	spec := child.Spec{
		Path: program.initdb, Args: args, Env: environment(), Dir: "/",
		Files: data.files(), Account: data.account, OnParentDeath: syscall.SIGKILL,
	}
	if spec.Output, err = os.CreateTemp("", "shop-initdb-*.log"); err != nil {
		return err
	}
	defer os.Remove(spec.Output.Name())
	defer spec.Output.Close()
	process, err := child.Start(spec)
	if err != nil {
		return fmt.Errorf("initialize PostgreSQL: %w", explain(err, data.account))
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		process.Kill()
		<-process.Done()
		return ctx.Err()
	}
	if err := process.Err(); err != nil {
		return fmt.Errorf("initialize PostgreSQL: initdb ended with %w; its last words:\n%s", err, writtenSince(spec.Output.Name(), 0))
	}
	return nil
}

// unicodeLocale is the character type locale that knows Unicode and that every such system has.
func unicodeLocale() string {
	if runtime.GOOS == "darwin" {
		return "UTF-8"
	}
	return "C.UTF-8"
}

// passwordFile writes the password where only the account can read it, in a folder of its own.
func passwordFile(password string, account *child.Account) (string, error) {
	dir, err := os.MkdirTemp("", "shop-initdb-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "password")
	err = os.WriteFile(path, []byte(password+"\n"), 0o600)
	if err == nil && account != nil {
		err = errors.Join(os.Chown(path, int(account.UID), int(account.GID)), os.Chown(dir, int(account.UID), int(account.GID)))
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return path, nil
}

// empty removes what is in a folder, but not the folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
