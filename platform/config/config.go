// Package config reads a service's settings from the environment, and tells all mistakes at once.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"shop.example/platform/mtls"
)

// Service is what every service needs. A service's own settings embed it.
type Service struct {
	// GRPCAddr is where the service listens for other services.
	GRPCAddr string `env:"GRPC_ADDR" envDefault:":50051"`
	// AdminAddr is where metrics and health are: for operators, not for clients.
	AdminAddr string     `env:"ADMIN_ADDR" envDefault:":9090"`
	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	// ShutdownTimeout bounds the stop. The default leaves 10 s of Kubernetes' 30 to spare.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"20s"`
	PPROF           bool          `env:"PPROF" envDefault:"false"`
	TLS             mtls.Files
}

// Load reads a T from the environment, by its env tags. The error names every variable that is missing or wrong, one a
// line. A T with a Validate method is asked too. What T embeds must be exported: the library passes over what is not.
func Load[T any]() (T, error) {
	cfg, err := env.ParseAs[T]()
	var mistakes []error
	if many := (env.AggregateError{}); errors.As(err, &many) {
		mistakes = many.Errors
	} else if err != nil {
		mistakes = []error{err}
	}
	if v, ok := any(&cfg).(interface{ Validate() error }); ok && len(mistakes) == 0 {
		if err := v.Validate(); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if len(mistakes) == 0 {
		return cfg, nil
	}
	var text strings.Builder
	text.WriteString("the environment does not fit:")
	for _, m := range mistakes {
		fmt.Fprintf(&text, "\n  %s", describe(m, reflect.TypeFor[T]()))
	}
	return cfg, errors.New(text.String())
}

// describe puts the library's errors in the reader's terms, which are variables and not fields.
func describe(err error, settings reflect.Type) string {
	var (
		unset env.VarIsNotSetError
		empty env.EmptyVarError
		parse env.ParseError
	)
	switch {
	case errors.As(err, &unset):
		return unset.Key + " must be set"
	case errors.As(err, &empty):
		return empty.Key + " must not be empty"
	case errors.As(err, &parse):
		name := parse.Name
		if field, ok := settings.FieldByName(name); ok {
			name, _, _ = strings.Cut(field.Tag.Get("env"), ",")
		}
		return fmt.Sprintf("%s: %v", name, parse.Err)
	default:
		return err.Error()
	}
}
