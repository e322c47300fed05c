package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// probeTimeout is under the least that container engines give a health check by default.
const probeTimeout = 2 * time.Second

// Probe asks the admin server that listens at addr, on this machine, whether the process is ready. Containers without a
// shell check their health with it.
func Probe(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("probe: ADMIN_ADDR: %w", err)
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	// Not http.DefaultClient: the way to this machine's own address is not through HTTP_PROXY.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("probe: %s", resp.Status)
	}
	return nil
}
