package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFirstRunning holds that an operator's command finds the service's server when it has none of its own.
func TestFirstRunning(t *testing.T) {
	mine, service := t.TempDir(), t.TempDir()
	if got := firstRunning(mine, service); got != mine {
		t.Errorf("nothing runs: %s, want the first", got)
	}
	for _, c := range []struct{ starts, want string }{{service, service}, {mine, mine}} {
		if err := os.WriteFile(filepath.Join(c.starts, "admin-url"), []byte("http://127.0.0.1:8081\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := firstRunning(mine, service); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
