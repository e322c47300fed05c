package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"shop.example/deploy/local/runner"
)

// shop is a running shop: all that its stack.json says.
type shop struct{ runner.Description }

// stopTimeout is more than the drain of one stage after another takes.
const stopTimeout = time.Minute

// enter returns the shop whose data is in a folder, or, without one, starts one with the durability of production and without
// limits. leave stops what was started.
func enter(ctx context.Context, data string, out io.Writer) (_ shop, leave func() error, err error) {
	if data != "" {
		s, err := running(data)
		return s, func() error { return nil }, err
	}
	dir, err := os.MkdirTemp("", "shop-load-")
	if err != nil {
		return shop{}, nil, err
	}
	// PostgreSQL runs as another user when we are root, and has to get through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return shop{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	stack, err := runner.Start(ctx, runner.Options{Data: dir, NoDemo: true, NoRateLimit: true, Output: out})
	if err != nil {
		return shop{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return shop{stack.Describe()}, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return errors.Join(stack.Stop(ctx), os.RemoveAll(dir))
	}, nil
}

// running reads what runs with a data folder.
func running(data string) (s shop, err error) {
	raw, err := os.ReadFile(filepath.Join(data, "stack.json"))
	if err == nil {
		err = json.Unmarshal(raw, &s.Description)
	}
	if err != nil {
		return s, fmt.Errorf("no shop runs with that data folder: %w", err)
	}
	return s, nil
}

// account returns the account of a role.
func (s shop) account(role string) (runner.Account, error) {
	for _, a := range s.Accounts {
		if a.Role == role {
			return a, nil
		}
	}
	return runner.Account{}, fmt.Errorf("stack.json names no %s", role)
}
