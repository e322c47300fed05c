// Command testpay is the shop's payment provider for development and tests: a process of its own with an HTTP API,
// idempotency keys and a durable ledger, as a real provider has, but without money.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"shop.example/deploy/testpay/internal/api"
	"shop.example/deploy/testpay/internal/ledger"
	"shop.example/deploy/testpay/internal/webhook"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = run(ctx, os.Getenv, os.Stdout)
	case len(args) == 1 && args[0] == "healthcheck":
		err = healthcheck(ctx, os.Getenv)
	default:
		err = errors.New("usage: testpay [healthcheck]")
	}
	if err != nil {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Error("testpay failed", "service", "testpay", "error", err.Error())
		os.Exit(1)
	}
}

// run serves until ctx is done, then drains. It fails if the ledger does.
func run(ctx context.Context, env func(string) string, logTo io.Writer) (err error) {
	config, err := loadConfig(env)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: config.logLevel})).With("service", "testpay")

	book, err := ledger.Open(config.ledgerFile, ledger.Options{LateAfter: config.lateAfter, Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Close()) }()

	var background sync.WaitGroup
	defer background.Wait() // before the ledger is closed
	loops, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoops()
	background.Go(func() { book.Settle(loops) })
	if config.webhookURL != "" {
		sender := &webhook.Sender{
			URL: config.webhookURL, Secret: config.webhookSecret, Client: &http.Client{}, Now: time.Now, Log: log,
		}
		background.Go(func() { sender.Run(loops, book) })
	}

	draining := make(chan struct{})
	server := &http.Server{
		Handler: api.New(book, config.apiKey, draining, log),
		// Bodies are at most 64 KiB: a client that takes longer than this is stuck.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      api.SilentFor + 15*time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.httpAddr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.InfoContext(ctx, "listening", "addr", listener.Addr().String())

	select {
	case <-ctx.Done():
	case <-book.Failed():
		err = book.Err()
	case err = <-served:
	}
	log.InfoContext(ctx, "stopping")
	close(draining)
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), config.shutdownTimeout)
	defer cancel()
	if shutdown := server.Shutdown(bound); shutdown != nil {
		err = errors.Join(err, fmt.Errorf("drain: %w", shutdown), server.Close())
	}
	return err
}

// healthcheck asks the process that serves with the same environment, for containers without a shell.
func healthcheck(ctx context.Context, env func(string) string) error {
	host, port, err := net.SplitHostPort(httpAddr(env))
	if err != nil || port == "0" {
		return errors.New("HTTP_ADDR: must name the port to ask")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	// Shorter than the interval at which containers are usually asked.
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("healthz answered %s", response.Status)
	}
	return nil
}
