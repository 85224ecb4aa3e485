package appliance

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tourbillon/signaling"
)

// secretBytes is the size of each generated secret.
const secretBytes = 32

// Secrets are what the process keeps over restarts. Each is made once, as hexadecimal text in a file of its own that
// only the owner can read; systemd credentials of the same name come first.
type Secrets struct {
	// TURN issues and verifies TURN credentials, Session the peers' seats, Token join tokens, Admin the admin page's
	// links and cookies.
	TURN, Session, Token, Admin []byte
}

// StateDir is the state folder in use: the configured one, systemd's, or the user's.
func StateDir(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	// $STATE_DIRECTORY is a colon-separated list (systemd.exec(5)); the unit has one entry.
	if first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); first != "" {
		return first, nil
	}
	if base := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "tourbillon"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a state folder: %w: set state_dir", err)
	}
	return filepath.Join(home, ".local", "state", "tourbillon"), nil
}

// OpenSecrets reads the secrets in the state folder and makes those that are missing. It is for the server, whose
// folder it is.
func OpenSecrets(dir string) (Secrets, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Secrets{}, unwritable("make the state folder", err)
	}
	return eachSecret(func(name string) ([]byte, error) {
		file := filepath.Join(dir, name)
		secret, err := findSecret(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			return makeSecret(file)
		}
		return secret, err
	})
}

// ReadSecrets reads the secrets that the server with this state folder made. It is for other commands, which may run
// as another user: they make none.
func ReadSecrets(dir string) (Secrets, error) {
	return eachSecret(func(name string) ([]byte, error) {
		secret, err := findSecret(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, notRun(dir)
		}
		return secret, err
	})
}

func eachSecret(open func(name string) ([]byte, error)) (s Secrets, err error) {
	for _, wanted := range []struct {
		name string
		into *[]byte
	}{{"turn-secret", &s.TURN}, {"session-key", &s.Session}, {"token-key", &s.Token}, {"admin-key", &s.Admin}} {
		if *wanted.into, err = open(wanted.name); err != nil {
			return Secrets{}, fmt.Errorf("secret %s: %w", wanted.name, err)
		}
	}
	return s, nil
}

func unwritable(attempt string, err error) error {
	return fmt.Errorf("%s: %w: set state_dir to a folder that this user can write", attempt, err)
}

func notRun(dir string) error {
	return fmt.Errorf("no tourbillon has run with the state folder %s: start it, or give its --config or --set state_dir", dir)
}

// findSecret reads a secret from systemd's credentials or from the state folder.
func findSecret(dir, name string) ([]byte, error) {
	if credentials := os.Getenv("CREDENTIALS_DIRECTORY"); credentials != "" {
		secret, err := readSecret(filepath.Join(credentials, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return secret, err
		}
	}
	return readSecret(filepath.Join(dir, name))
}

func readSecret(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&signaling.SharedBits(file) != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): run chmod 600 on it, or delete it to have a new one made", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret := []byte(strings.TrimSpace(string(text)))
	if len(secret) < secretBytes {
		return nil, fmt.Errorf("%s has %d characters, want at least %d: delete it to have a new one made", file, len(secret), secretBytes)
	}
	return secret, nil
}

// makeSecret writes a fresh secret so that a crash leaves the whole file or none. Where another process was quicker,
// its secret is taken.
func makeSecret(file string) ([]byte, error) {
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // Never fails (crypto/rand).
	secret := hex.AppendEncode(nil, random)
	fresh, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return nil, unwritable("make the file", err)
	}
	defer os.Remove(fresh.Name())
	_, err = fresh.Write(append(secret, '\n'))
	err = errors.Join(err, fresh.Sync(), fresh.Close())
	if err != nil {
		return nil, unwritable("write the file", err)
	}
	if err := os.Link(fresh.Name(), file); errors.Is(err, fs.ErrExist) {
		return findSecret(filepath.Dir(file), filepath.Base(file))
	} else if err != nil {
		return nil, unwritable("put the file in its place", err)
	}
	return secret, nil
}

// adminURLFile tells other processes on this machine where the running one has its admin page.
const adminURLFile = "admin-url"

func writeAdminURL(dir, url string) error {
	if err := os.WriteFile(filepath.Join(dir, adminURLFile), []byte(url+"\n"), 0o600); err != nil {
		return unwritable("tell other commands where the admin page is", err)
	}
	return nil
}

// removeAdminURL takes back what writeAdminURL told, unless another process has told its own since.
func removeAdminURL(dir, url string) error {
	if told, err := ReadAdminURL(dir); err != nil || told != url {
		return nil
	}
	return os.Remove(filepath.Join(dir, adminURLFile))
}

// ReadAdminURL returns where the process with this state folder has its admin page.
func ReadAdminURL(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, adminURLFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", notRun(dir)
	}
	return strings.TrimSpace(string(text)), err
}
