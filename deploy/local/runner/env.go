package runner

import (
	"os"
	"strings"
)

// baseEnv is what processes get of our own environment: where programs, the home folder and the system's certificates are, and
// what is said about telemetry. The rest, with whatever secrets the developer's shell holds, is none of their business.
func baseEnv() map[string]string {
	return pick(os.Environ())
}

func pick(environ []string) map[string]string {
	env := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		switch {
		case name == "PATH" || name == "HOME" || name == "SSL_CERT_FILE":
			env[name] = value
		case name == "OTEL_SERVICE_NAME":
			// Each process has its own name: one for all would make them indistinguishable.
		case strings.HasPrefix(name, "OTEL_"):
			env[name] = value
		}
	}
	return env
}
