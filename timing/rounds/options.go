package rounds

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// UsageError is a command line of a benchmark that cannot be carried out.
type UsageError struct {
	// Wrong is what is wrong with it, Remedy what would be right.
	Wrong, Remedy string
}

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }

// Flags returns an empty set for the options of a command; what cannot be read is told by [Parse].
func Flags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// Parse reads a command line that consists of options alone. Its error is a [*UsageError].
func Parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return &UsageError{err.Error(), "see `tourbillon help`"}
	}
	if rest := flags.Args(); len(rest) > 0 {
		return &UsageError{fmt.Sprintf("%s takes no argument %q", flags.Name(), rest[0]), "options begin with --"}
	}
	return nil
}

// Arms reads a list of arms: some of all, none twice. Its error is a [*UsageError].
func Arms(list string, all ...string) ([]string, error) {
	arms := strings.Split(list, ",")
	for i, arm := range arms {
		if !slices.Contains(all, arm) || slices.Contains(arms[:i], arm) {
			return nil, &UsageError{fmt.Sprintf("no arm %q, or twice", arm), "--arm " + strings.Join(all, ",") + " or some of them"}
		}
	}
	return arms, nil
}

// Count is an option that is a number, and what it may be.
type Count struct {
	Name             string
	Value, Low, High int
}

// Within holds counts to their bounds. Its error is a [*UsageError].
func Within(counts ...Count) error {
	for _, c := range counts {
		if c.Value < c.Low || c.Value > c.High {
			return &UsageError{fmt.Sprintf("--%s %d", c.Name, c.Value), fmt.Sprintf("from %d to %d", c.Low, c.High)}
		}
	}
	return nil
}

// PlainName is the program beside this one that has pion as published (`make build`).
const PlainName = "tourbillon-stdtime"

// Plain returns the program with pion as published, for a command that compares with it: the named one, or that beside
// this program. retimed tells whether this program has re-timed pion; one that has not would be compared with itself.
func Plain(command, named string, retimed bool) (string, error) {
	if !retimed {
		return "", fmt.Errorf("%s compares with pion as published, and this program has nothing else: run the one that `make build` leaves in bin/tourbillon", command)
	}
	if named == "" {
		own, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}
		named = filepath.Join(filepath.Dir(own), PlainName)
	}
	switch _, err := os.Stat(named); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s, the same program with pion as published, is not there: run `make build`, or name it with --plain FILE", named)
	case err != nil:
		return "", fmt.Errorf("look for the program with pion as published: %w", err)
	}
	return named, nil
}
