package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsThatOthersCanRead has secrets as the owner keeps them, and as systemd shows them to a service.
func TestSecretsThatOthersCanRead(t *testing.T) {
	credentials, state := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	for _, test := range []struct {
		dir  string
		mode os.FileMode
		good bool
	}{{credentials, 0o440, true}, {credentials, 0o444, false}, {state, 0o440, false}, {state, 0o400, true}} {
		file := filepath.Join(test.dir, "turn-secret")
		if err := os.WriteFile(file, []byte(strings.Repeat("s", secretBytes)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, test.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := findSecret(state, "turn-secret"); (err == nil) != test.good {
			t.Errorf("mode %04o, a credential %v: %v", test.mode, test.dir == credentials, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}
