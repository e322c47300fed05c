package localstores_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"shop.example/platform/localstores"
)

const password = "correcthorse"

// find skips a test on a machine without the servers: `make test` installs them or says what to install.
func find(t *testing.T) *localstores.Programs {
	t.Helper()
	programs, err := localstores.Find()
	if missing := (*localstores.MissingError)(nil); errors.As(err, &missing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return programs
}

func startPostgres(t *testing.T, programs *localstores.Programs, dir string) *localstores.Server {
	t.Helper()
	server, err := programs.StartPostgres(t.Context(), localstores.PostgresOptions{
		Dir: filepath.Join(dir, "postgres"), Password: password, LogFile: filepath.Join(dir, "postgres.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server
}

func startRedis(t *testing.T, programs *localstores.Programs, dir string) *localstores.Server {
	t.Helper()
	server, err := programs.StartRedis(t.Context(), localstores.RedisOptions{
		Dir: filepath.Join(dir, "redis"), Password: password, LogFile: filepath.Join(dir, "redis.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server
}

func stop(t *testing.T, server *localstores.Server) {
	t.Helper()
	if err := server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := server.Err(); err != nil {
		t.Errorf("the server ended with %v, want exit code 0", err)
	}
}

func query(t *testing.T, server *localstores.Server, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if !strings.HasPrefix(sql, "SELECT") && !strings.HasPrefix(sql, "SHOW") {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// command sends one command to Redis and returns the line of its answer that follows any length.
func command(t *testing.T, server *localstores.Server, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "AUTH %s\r\n%s\r\n", password, text)
	lines := bufio.NewReader(conn)
	var answer string
	for answer == "" || answer == "+OK" && !strings.HasPrefix(text, "SET") || strings.HasPrefix(answer, "$") {
		if answer, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		answer = strings.TrimSpace(answer)
	}
	return answer
}

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	programs, dir := find(t), t.TempDir()
	server := startPostgres(t, programs, dir)
	query(t, server, "CREATE TABLE kept AS SELECT 'here' AS what")
	stop(t, server)
	server = startPostgres(t, programs, dir)
	if got := query(t, server, "SELECT what FROM kept"); got != "here" {
		t.Errorf("after a restart: %q, want what was stored", got)
	}
	if got := query(t, server, "SELECT upper('größe')"); got != "GRÖSSE" && got != "GRÖßE" {
		t.Errorf("upper = %q: letters beyond ASCII are not known", got)
	}
	stop(t, server)
}

func TestPostgresWantsThePassword(t *testing.T) {
	t.Parallel()
	server := startPostgres(t, find(t), t.TempDir())
	wrong, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword("postgres", "guess")
	if conn, err := pgx.Connect(t.Context(), wrong.String()); err == nil {
		conn.Close(t.Context())
		t.Error("a wrong password was accepted")
	}
}

// A runner that was killed may leave its servers running; the next start on the same data stops them and goes on.
func TestLeftoverServersAreStopped(t *testing.T) {
	t.Parallel()
	programs, dir := find(t), t.TempDir()
	oldPostgres, oldRedis := startPostgres(t, programs, dir), startRedis(t, programs, dir)
	command(t, oldRedis, "SET kept here")
	query(t, oldPostgres, "CREATE TABLE kept AS SELECT 'here' AS what")

	newPostgres, newRedis := startPostgres(t, programs, dir), startRedis(t, programs, dir)
	for _, old := range []*localstores.Server{oldPostgres, oldRedis} {
		select {
		case <-old.Done():
		default:
			t.Errorf("the old server %s still runs", old.Addr)
		}
	}
	if got := query(t, newPostgres, "SELECT what FROM kept"); got != "here" {
		t.Errorf("PostgreSQL lost what was stored: %q", got)
	}
	if got := command(t, newRedis, "GET kept"); got != "here" {
		t.Errorf("Redis lost what was stored: %q", got)
	}
}

// After a kill -9 the pid file of the dead server lies there, still saying "ready".
func TestStartAfterAKill(t *testing.T) {
	t.Parallel()
	programs, dir := find(t), t.TempDir()
	server := startPostgres(t, programs, dir)
	query(t, server, "CREATE TABLE kept AS SELECT 'here' AS what")
	server.Kill()
	<-server.Done()
	if got := query(t, startPostgres(t, programs, dir), "SELECT what FROM kept"); got != "here" {
		t.Errorf("PostgreSQL lost what was stored: %q", got)
	}
}

func TestRedisKeepsItsDataAcrossAKill(t *testing.T) {
	t.Parallel()
	programs, dir := find(t), t.TempDir()
	server := startRedis(t, programs, dir)
	if got := command(t, server, "SET kept here"); got != "+OK" {
		t.Fatalf("SET: %q", got)
	}
	server.Kill()
	<-server.Done()
	server = startRedis(t, programs, dir)
	if got := command(t, server, "GET kept"); got != "here" {
		t.Errorf("after a kill: %q, want what was stored", got)
	}
	stop(t, server)
}

// An initialization that was interrupted is begun anew.
func TestInterruptedInitialization(t *testing.T) {
	t.Parallel()
	programs, dir := find(t), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "postgres", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "postgres", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, programs, dir)
}

// As root the servers run under another account, even with their data below a folder that is closed to it.
func TestRootRunsServersUnprivileged(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can")
	}
	programs, dir := find(t), filepath.Join(t.TempDir(), "closed", "data")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, server := range []*localstores.Server{startPostgres(t, programs, dir), startRedis(t, programs, dir)} {
		info, err := os.Stat(fmt.Sprintf("/proc/%d", server.PID()))
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
			t.Errorf("the server at %s runs as root", server.Addr)
		}
	}
	info, err := os.Stat(filepath.Dir(dir))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the closed folder is %v now (%v), want it untouched", info.Mode(), err)
	}
}

func TestPortInUseIsSaid(t *testing.T) {
	t.Parallel()
	programs, dir := find(t), t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = programs.StartPostgres(t.Context(), localstores.PostgresOptions{
		Dir: filepath.Join(dir, "postgres"), Port: listener.Addr().(*net.TCPAddr).Port, Password: password,
		LogFile: filepath.Join(dir, "postgres.log"), Throwaway: true,
	})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("StartPostgres on a taken port: %v, want the server's own words", err)
	}
}

func TestMissingErrorSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	message := (&localstores.MissingError{Redis: true}).Error()
	for _, want := range []string{"Redis server not found", "apt-get install postgresql redis-server", "dnf install", "brew install"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message lacks %q:\n%s", want, message)
		}
	}
}
