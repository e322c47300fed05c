package localstores

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"shop.example/platform/localstores/child"
	"shop.example/platform/localstores/ports"
)

// RedisOptions says how to run Redis.
type RedisOptions struct {
	// Dir is the data folder; it is made by the first start.
	Dir string
	// Port on the loopback address; 0 chooses one, which stays reserved for this process.
	Port int
	// Password that clients must give: letters and digits.
	Password string
	// LogFile takes the server's log.
	LogFile string
	// Throwaway keeps nothing on disk: for tests, whose data nobody misses.
	Throwaway bool
	// BusPort makes the server a node of a Redis Cluster, which talks to the other nodes there; 0 for a server alone. A new
	// node has no slots and knows no other: that is for who makes the cluster to say.
	BusPort int
}

// StartRedis starts Redis and returns when it answers. A server that an earlier, killed owner left running on the same data is
// stopped first.
func (p *Programs) StartRedis(ctx context.Context, o RedisOptions) (*Server, error) {
	account, err := unprivileged("redis", "valkey")
	if err != nil {
		return nil, err
	}
	data, err := openFolder(o.Dir, account)
	if err != nil {
		return nil, fmt.Errorf("data folder of Redis: %w", err)
	}
	defer data.close() // the server has its own copy of the descriptor
	pidFile := filepath.Join(data.path, "redis.pid")
	if err := stopLeftover(ctx, pidFile, data.path, filepath.Base(p.redis), syscall.SIGTERM, syscall.SIGKILL); err != nil {
		return nil, err
	}
	if o.Port == 0 {
		if o.Port, err = ports.Reserve(); err != nil {
			return nil, err
		}
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	spec := child.Spec{
		Path: p.redis, Args: []string{"-"}, Env: environment(), Dir: "/",
		// From stdin, so that the password stands neither in a file nor in the list of processes.
		Stdin: strings.NewReader(redisConfig(data.seen(), o)),
		Files: data.files(), Account: account,
		OnParentDeath: syscall.SIGTERM, // it writes its log out and ends
	}
	process, err := launch(ctx, "Redis", spec, o.LogFile, func(ctx context.Context, _ *child.Process) (bool, error) {
		return redisReady(ctx, addr, o.Password)
	})
	if err != nil {
		return nil, err
	}
	login := url.URL{Scheme: "redis", User: url.UserPassword("default", o.Password), Host: addr, Path: "/0"}
	return &Server{
		Version: redisVersion(p.redis), Addr: addr, URL: login.String(), LogFile: o.LogFile,
		process: process, graceful: syscall.SIGTERM,
	}, nil
}

func redisConfig(dir string, o RedisOptions) string {
	settings := []string{
		"bind 127.0.0.1",
		fmt.Sprintf("port %d", o.Port),
		fmt.Sprintf("dir %q", dir),
		fmt.Sprintf("requirepass %q", o.Password),
		"pidfile redis.pid", // below dir
		"save \"\"",         // no snapshots: the log of writes holds everything
	}
	if o.Throwaway {
		settings = append(settings, "appendonly no")
	} else {
		// always: what is acknowledged is on the disk, whatever dies. With everysec a power failure costs a second, and a
		// killed Redis what it holds back (up to two seconds) while the disk is slow: during a sync it does not write. The price
		// is one sync for all commands that came in together: 80,000 small writes a second in place of 110,000 from 64 clients.
		settings = append(settings, "appendonly yes", "appendfsync always")
	}
	if o.BusPort != 0 {
		settings = append(settings, "cluster-enabled yes", "cluster-config-file nodes.conf", fmt.Sprintf("cluster-port %d", o.BusPort))
	}
	return strings.Join(settings, "\n") + "\n"
}

// redisReady signs in and pings. A refused connection and a server still loading its data mean: not yet. Any other error answer,
// such as a wrong password, does not get better by waiting.
func redisReady(ctx context.Context, addr, password string) (bool, error) {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false, nil
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", password); err != nil {
		return false, nil
	}
	answers := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		answer, err := answers.ReadString('\n')
		if err != nil || strings.HasPrefix(answer, "-LOADING") {
			return false, nil
		}
		if answer = strings.TrimSpace(answer); answer != want {
			return false, fmt.Errorf("it answers %q", answer)
		}
	}
	return true, nil
}

var redisVersionPattern = regexp.MustCompile(`v=([\d.]+)`)

func redisVersion(program string) string {
	answer, err := exec.Command(program, "--version").Output()
	if match := redisVersionPattern.FindStringSubmatch(string(answer)); err == nil && match != nil {
		return match[1]
	}
	return "of unknown version"
}
