package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Options says what to run. The zero value runs one replica of everything on free ports, with the data in .local.
type Options struct {
	// Root is the repository; "" means the one that the working directory is in.
	Root string
	// Data is the folder for everything that is made; "" means .local in the repository. It is the caller's, or new, or empty.
	Data string
	// Port is the gateway's; 0 means a free one.
	Port int
	// Replicas is how many processes of a service run; 1 unless named.
	Replicas map[string]int
	// Reset throws away all data of earlier runs first.
	Reset bool
	// NoDemo leaves the catalogue empty.
	NoDemo bool
	// NoRateLimit lifts the limits on requests and on sign-ins, for load tests.
	NoRateLimit bool
	// Throwaway gives the stores' durability up for speed, for tests.
	Throwaway bool
	// Env adds to, or replaces, the environment of a service by its name, or of all under "*".
	Env map[string]map[string]string
	// BinDir holds programs made by Build, to be used as they are; "" builds them into the data folder.
	BinDir string
	// Race builds with the race detector.
	Race bool
	// Output takes the progress and the reports; nil discards them.
	Output io.Writer
	// Abort, when closed, turns a stop that is under way into a hard one: nothing is waited for any more.
	Abort <-chan struct{}
}

// complete fills in the defaults and refuses what cannot work.
func (o Options) complete() (Options, error) {
	var err error
	if o.Root == "" {
		if o.Root, err = FindRoot(); err != nil {
			return o, err
		}
	}
	if o.Data == "" {
		o.Data = filepath.Join(o.Root, ".local")
	}
	if o.Data, err = filepath.Abs(o.Data); err != nil {
		return o, err
	}
	if o.BinDir != "" {
		if o.BinDir, err = filepath.Abs(o.BinDir); err != nil {
			return o, err
		}
	}
	if o.Output == nil {
		o.Output = io.Discard
	}
	if o.Port < 0 || o.Port > 65535 {
		return o, fmt.Errorf("--port %d: a port is between 0 and 65535", o.Port)
	}
	for name, n := range o.Replicas {
		if !slices.ContainsFunc(services, func(s service) bool { return s.name == name && s.name != testpay }) {
			return o, fmt.Errorf("--replicas %s=%d: there is no service %q", name, n, name)
		}
		// 20 is far more than one machine has use for; a typo (200) would bring it to its knees.
		if n < 1 || n > 20 {
			return o, fmt.Errorf("--replicas %s=%d: between 1 and 20", name, n)
		}
	}
	return o, nil
}

// FindRoot finds the repository that the working directory is in.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if fileExists(filepath.Join(dir, "deploy", "local", "go.mod")) && fileExists(filepath.Join(dir, "platform", "go.mod")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the shop's repository: change into it first")
		}
		dir = parent
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
