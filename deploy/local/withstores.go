package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"shop.example/platform/localstores"
)

// withStores runs a command with TEST_POSTGRES_URL and TEST_REDIS_URL naming stores that live for as long as the command does. Its
// exit code becomes ours.
func withStores(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("with-stores needs a command, as in: with-stores -- go test -C platform ./pgtest")
	}
	dir, err := os.MkdirTemp("", "shop-stores-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	postgres, redis, err := startStores(ctx, dir)
	// Nothing in them is worth a graceful end, but a server that is told to end leaves no shared memory behind.
	for _, server := range []*localstores.Server{redis, postgres} {
		if server != nil {
			defer func() {
				stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
				defer cancel()
				err = errors.Join(err, server.Stop(stop))
			}()
		}
	}
	if err != nil {
		return err
	}
	// The command stays in our process group: a Ctrl-C in the terminal reaches it by itself, a SIGTERM is passed on.
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "TEST_POSTGRES_URL="+postgres.URL, "TEST_REDIS_URL="+redis.URL)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 30 * time.Second // a test run that was interrupted cleans up and stops what it started
	return command.Run()
}

// startStores starts both side by side. When one fails the other is returned all the same, to be stopped.
func startStores(ctx context.Context, dir string) (postgres, redis *localstores.Server, err error) {
	programs, err := localstores.Ensure(ctx, os.Stderr)
	if err != nil {
		return nil, nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		postgres, err = programs.StartPostgres(ctx, localstores.PostgresOptions{
			Dir: filepath.Join(dir, "postgres"), Password: rand.Text(), LogFile: filepath.Join(dir, "postgres.log"), Throwaway: true,
		})
		return err
	})
	group.Go(func() (err error) {
		redis, err = programs.StartRedis(ctx, localstores.RedisOptions{
			Dir: filepath.Join(dir, "redis"), Password: rand.Text(), LogFile: filepath.Join(dir, "redis.log"), Throwaway: true,
		})
		return err
	})
	if err := group.Wait(); err != nil {
		return postgres, redis, fmt.Errorf("start the stores for tests: %w", err)
	}
	return postgres, redis, nil
}
