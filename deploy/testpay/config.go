package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"shop.example/deploy/testpay/internal/webhook"
)

// config is what the environment says. README.md describes the variables.
type config struct {
	httpAddr        string
	ledgerFile      string
	apiKey          string
	lateAfter       time.Duration
	webhookURL      string
	webhookSecret   []byte
	logLevel        slog.Level
	shutdownTimeout time.Duration
}

// loadConfig reports all mistakes at once, one a line. Values of secrets are never repeated.
func loadConfig(env func(string) string) (config, error) {
	var mistakes []error
	mistake := func(name, format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf(name+": "+format, args...))
	}
	required := func(name string) string {
		value := env(name)
		if value == "" {
			mistake(name, "is required")
		}
		return value
	}
	duration := func(name string, standard time.Duration) time.Duration {
		if env(name) == "" {
			return standard
		}
		d, err := time.ParseDuration(env(name))
		if err != nil || d <= 0 {
			mistake(name, "must be a positive duration such as 5s")
		}
		return d
	}

	c := config{
		httpAddr:        httpAddr(env),
		ledgerFile:      required("LEDGER_FILE"),
		apiKey:          required("API_KEY"),
		lateAfter:       duration("LATE_AFTER", 5*time.Second),
		shutdownTimeout: duration("SHUTDOWN_TIMEOUT", 20*time.Second),
		webhookURL:      env("WEBHOOK_URL"),
	}
	if _, _, err := net.SplitHostPort(c.httpAddr); err != nil {
		mistake("HTTP_ADDR", "must be host:port")
	}
	if level := env("LOG_LEVEL"); level != "" {
		if err := c.logLevel.UnmarshalText([]byte(level)); err != nil {
			mistake("LOG_LEVEL", "must be debug, info, warn or error")
		}
	}
	if c.webhookURL != "" {
		if u, err := url.Parse(c.webhookURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			mistake("WEBHOOK_URL", "must be an http or https URL")
		}
		var err error
		if c.webhookSecret, err = webhook.ParseSecret(env("WEBHOOK_SECRET")); err != nil {
			mistake("WEBHOOK_SECRET", "%w", err)
		}
	}
	return c, errors.Join(mistakes...)
}

// httpAddr is by default a free port of this machine; the log line "listening" names it.
func httpAddr(env func(string) string) string {
	if addr := env("HTTP_ADDR"); addr != "" {
		return addr
	}
	return "127.0.0.1:0"
}
