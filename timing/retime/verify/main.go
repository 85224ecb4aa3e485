// Command verify lets pion's own unit tests judge the re-timed modules: it runs them twice in a scratch folder outside
// the checkout, once as published and once with all of pion on the hrtimer engine, and prints the difference. A test
// that passes as published has to pass re-timed; those that do not always pass are run again alone, on both sides, and
// named.
//
// Both sides build from one build list, that of the checkout with the modules' own added. The tests run in a network
// namespace of their own, which has loopback and one interface that leads nowhere.
//
// Run it by `make retime-verify`; it takes about ten minutes. The exit code is 0 only if no test is broken.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"tourbillon/timing/retime/carry"
)

// subjects are the modules whose tests are run: those that hold protocols.
var subjects = []string{"ice", "turn", "stun", "dtls", "sctp"}

func main() {
	o := options{out: os.Stdout}
	flag.Func("modules", "judge these only, for example ice,turn", func(s string) error {
		o.modules = strings.Split(s, ",")
		return nil
	})
	flag.BoolVar(&o.hostNetwork, "host-network", false, "run the tests in this machine's own network, which they may send to")
	flag.BoolVar(&o.keep, "keep", false, "keep the scratch folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := verify(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "retime-verify:", err)
		os.Exit(1)
	}
}

// options says what to run and where to tell of it.
type options struct {
	modules           []string
	hostNetwork, keep bool
	out               io.Writer
}

func verify(ctx context.Context, o options) error {
	root, err := carry.Root()
	if err != nil {
		return err
	}
	list, err := carry.Pinned(root)
	if err != nil {
		return err
	}
	if o.modules == nil {
		o.modules = subjects
	}
	dir, err := scratchFolder()
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(o.out, "scratch folder:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	s := scratch{root: root, dir: dir, list: list, subjects: o.modules}
	if err := s.make(); err != nil {
		return err
	}
	return judge(ctx, s, o)
}

// scratchFolder is a fresh folder below the user's cache, so outside the checkout and its module.
func scratchFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	parent := filepath.Join(cache, "tourbillon")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make the scratch folder: %w", err)
	}
	return os.MkdirTemp(parent, "retime-verify-")
}

// judge runs both sides of each module, one after the other, and prints what came of it.
func judge(ctx context.Context, s scratch, o options) error {
	var broken []string
	for _, name := range s.subjects {
		m, err := s.subject(name)
		if err != nil {
			return err
		}
		r := runner{scratch: s, module: m, hostNetwork: o.hostNetwork}
		v, err := r.compare(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
		v.print(o.out)
		broken = append(broken, v.broken...)
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d tests pass as published and not re-timed", len(broken))
	}
	return nil
}
