//go:build interop && linux

package survive_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"tourbillon/appliance/netlab"
	"tourbillon/timing"
)

// The addresses of the hosts.
const (
	serverAddress = "10.78.1.2"
	adaAddress    = "10.78.2.2"
	bobAddress    = "10.78.3.2"
	bobMoved      = "10.78.3.9"
)

// patience bounds each wait for a helper: the machine may be busy with other things.
const patience = 60 * time.Second

// world is a network with the server's and two clients' hosts.
type world struct {
	t   *testing.T
	net *netlab.Network
	dir string
	// server is the running one.
	server, ada, bob *helper
}

// newWorld takes everything away when the test ends.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.net = netlab.New(t, map[string]string{"server": serverAddress, "ada": adaAddress, "bob": bobAddress})
	w.serve()
	return w
}

// loses has nothing pass between any two hosts for a while.
func (w *world) loses(lasting time.Duration) {
	w.t.Helper()
	w.net.Lose()
	over := make(chan struct{})
	timing.Runtime{}.AfterFunc(lasting, func() { close(over) })
	<-over
	w.net.Pass()
}

// serve starts the server; one that was killed has the same state and addresses again.
func (w *world) serve() {
	w.t.Helper()
	w.server = w.help("server", "server", serverConfig{Dir: w.dir})
}

// call has Ada, the impolite one, and Bob connect, and media flow both ways.
func (w *world) call(c callerConfig) {
	w.t.Helper()
	w.ada = w.help("ada", "caller", c)
	w.bob = w.help("bob", "caller", c)
	w.flows()
}

// flows waits until what either side sends from now on arrives at the other, for a second.
func (w *world) flows() {
	w.t.Helper()
	var both sync.WaitGroup
	for _, to := range []*helper{w.ada, w.bob} {
		both.Go(func() { to.expect("flow") })
	}
	both.Wait()
	if w.t.Failed() {
		w.t.Fatalf("the call did not survive; the server saw\n%s", w.server.ask("paths"))
	}
}

// shownPath is what the tests look at of GET /api/paths.
type shownPath struct {
	State    string
	Restarts int
	Timeline []struct{ State, Event, Route, By string }
}

// path is the only path that the server knows of.
func (w *world) path() shownPath {
	w.t.Helper()
	text := w.server.ask("paths")
	var paths []shownPath
	if err := json.Unmarshal([]byte(text), &paths); err != nil || len(paths) != 1 {
		w.t.Fatalf("%v: %s", err, text)
	}
	w.t.Logf("%s", text)
	return paths[0]
}

// restarted looks whether the server had the call restarted, by the impolite side alone.
func (w *world) restarted() {
	w.t.Helper()
	p := w.path()
	restarted := false
	for _, line := range p.Timeline {
		if line.Event == "self-restarted" || line.Event == "offered" {
			restarted = true
			if line.By != "impolite" {
				w.t.Errorf("the %s side restarted", line.By)
			}
		}
	}
	if !restarted || p.Restarts == 0 {
		w.t.Errorf("the call was restarted %d times by the server: %+v", p.Restarts, p)
	}
}

// told is a caller's own account: how often it was asked and how often it made an offer.
type told struct{ Asked, Restarts, Offers int }

func (w *world) told(of *helper) (t told) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(of.ask("told")), &t); err != nil {
		w.t.Fatal(err)
	}
	return t
}

// neverBoth looks whether one side alone was asked and made offers, but for the newcomer's first.
func (w *world) neverBoth() {
	w.t.Helper()
	ada, bob := w.told(w.ada), w.told(w.bob)
	if ada.Asked != 0 && bob.Asked != 0 || ada.Offers != ada.Restarts || bob.Offers != bob.Restarts+1 {
		w.t.Errorf("the first in the room: %+v; the second: %+v", ada, bob)
	}
}

// helper is this test binary in another role, inside a namespace, until its standard input ends.
type helper struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
	ended bool
}

// help starts a helper and waits until it is ready.
func (w *world) help(host, role string, config any) *helper {
	w.t.Helper()
	given, err := json.Marshal(config)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := w.net.Inside(host, exec.Command(os.Args[0], "-test.run=^TestHelper$", "-test.timeout=10m"))
	cmd.Env = append(os.Environ(), helperVariable+"="+role, helperVariable+"_CONFIG="+string(given))
	cmd.Stderr = os.Stderr
	h := &helper{t: w.t, name: role + " " + host, cmd: cmd, lines: make(chan string, 16)}
	if h.stdin, err = cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(h.lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			h.lines <- scanner.Text()
		}
	}()
	w.t.Cleanup(h.end)
	if line := h.read(); line != "ready" {
		w.t.Fatalf("the %s says %q", h.name, line)
	}
	return h
}

// read waits for a line of the helper's.
func (h *helper) read() string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case line, open := <-h.lines:
		if !open {
			h.t.Errorf("the %s has ended", h.name)
		}
		return line
	case <-ctx.Done():
		h.t.Errorf("the %s says nothing for %v", h.name, patience)
		return ""
	}
}

// ask says a word and returns the line in answer.
func (h *helper) ask(word string) string {
	h.t.Helper()
	if _, err := io.WriteString(h.stdin, word+"\n"); err != nil {
		h.t.Errorf("tell the %s: %v", h.name, err)
		return ""
	}
	return h.read()
}

// expect says a word that is answered by "done".
func (h *helper) expect(word string) {
	h.t.Helper()
	if line := h.ask(word); line != "done" {
		h.t.Errorf("the %s answers %q to %s", h.name, line, word)
	}
}

// kill ends the helper at once, as a crash does.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	h.wait()
}

// end lets the helper end by itself.
func (h *helper) end() {
	if !h.ended {
		_ = h.stdin.Close()
		h.wait()
	}
}

func (h *helper) wait() {
	for range h.lines {
		continue // What it still says.
	}
	err := h.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Errorf("the %s: %v", h.name, err)
	}
	h.ended = true
}

// obey answers each line of standard input by what its word does, until its end.
func obey(words map[string]func() string) {
	fmt.Println("ready")
	for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
		do := words[scanner.Text()]
		if do == nil {
			fmt.Println("no such word of", slices.Collect(keys(words)))
			continue
		}
		fmt.Println(do())
	}
}

func keys(words map[string]func() string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for word := range words {
			if !yield(word) {
				return
			}
		}
	}
}

// done is the answer to what went well.
func done(err error) string {
	if err != nil {
		return err.Error()
	}
	return "done"
}
