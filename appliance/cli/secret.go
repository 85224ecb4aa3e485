package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretOption is a secret that need not stand on the command line, which every user of the machine can read in /proc: a
// file, the environment or systemd's credentials may hold it.
type secretOption struct {
	// name is that of the option; with "-file" it names a file.
	name string
	// variable is that of the environment, credential a file in $CREDENTIALS_DIRECTORY (systemd.exec(5)).
	variable, credential string

	value, file string
}

// given reports whether the command line has it.
func (s *secretOption) given() bool { return s.value != "" || s.file != "" }

// resolve returns what the command line says.
func (s *secretOption) resolve() (string, error) {
	if s.value != "" && s.file != "" {
		return "", &usageError{fmt.Sprintf("--%s with --%s-file: give one of the two", s.name, s.name)}
	}
	if s.file == "" {
		return s.value, nil
	}
	secret, err := readSecretFile(s.file)
	if err != nil {
		return "", &usageError{fmt.Sprintf("--%s-file: %v", s.name, err)}
	}
	return secret, nil
}

// ambient returns what the environment or systemd's credentials say; empty for nothing.
func (s *secretOption) ambient() (string, error) {
	if secret := os.Getenv(s.variable); secret != "" {
		return secret, nil
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", nil
	}
	secret, err := readSecretFile(filepath.Join(dir, s.credential))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return secret, err
}

// readSecretFile reads a secret of one line.
func readSecretFile(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s does not hold a secret on one line", name)
	}
	return secret, nil
}
