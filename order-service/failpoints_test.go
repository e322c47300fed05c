package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNoFailpointsInWhatIsShipped: they are compiled in with the tag alone.
func TestNoFailpointsInWhatIsShipped(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{"": false, "failpoints": true} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tag, ".").Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if got := strings.Contains(string(out), "shop.example/order-service/internal/failpoint\n"); got != want {
			t.Errorf("with the tag %q the program holds the failpoints: %v, want %v", tag, got, want)
		}
	}
}
