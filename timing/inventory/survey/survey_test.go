package survey

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tourbillon/timing/inventory"
	"tourbillon/timing/retime/carry"
)

// retimedWorkspace makes fresh copies of what go.mod pins and returns the checkout and a workspace that uses the copies.
func retimedWorkspace(t *testing.T) (root, workspace string) {
	t.Helper()
	root, err := carry.Root()
	if err != nil {
		t.Fatal(err)
	}
	list, err := carry.Pinned(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	work := fmt.Sprintf("go %s\n\nuse %q\n", list.GoVersion, root)
	for _, m := range list.Modules {
		if _, err := carry.Copy(m, filepath.Join(dir, m.Path), carry.Options{}); err != nil {
			t.Fatal(err)
		}
		work += fmt.Sprintf("replace %s %s => ./%s\n", m.Path, m.Version, m.Path)
	}
	workspace = filepath.Join(dir, "go.work")
	write(t, workspace, work)
	return root, workspace
}

// TestProgram is the gate: every timer of a re-timed module is on the injected clock, and whatever is past it anywhere
// in the program has been judged.
func TestProgram(t *testing.T) {
	root, workspace := retimedWorkspace(t)
	p, err := load(root, workspace, "tourbillon")
	if err != nil || len(p.broken) > 0 {
		t.Fatalf("%v, broken: %v", err, p.broken)
	}
	listing := p.inventory()
	for _, problem := range Problems(listing) {
		t.Error(problem)
	}
	modules := map[string]bool{}
	for _, c := range listing.Carried {
		modules[c.Module] = true
		if c.Label == "" || c.Label == "other" || c.Tier == "" {
			t.Errorf("%+v has no label or tier", c)
		}
	}
	for _, want := range []string{"ice/v4", "turn/v5", "stun/v4", "dtls/v3", "sctp"} {
		if !modules[carry.Prefix+want] {
			t.Errorf("no timer of %s%s is listed", carry.Prefix, want)
		}
	}
	if last := listing.Uncarried[len(listing.Uncarried)-1]; last.Module != "std" || !strings.Contains(last.Call, "net/http") {
		t.Errorf("the last entry is %+v, want the standard library as one class", last)
	}
	testNoReviewLeftOver(t, p.sites())
}

// testNoReviewLeftOver finds judgements of places that are no more.
func testNoReviewLeftOver(t *testing.T, sites []site) {
	for _, j := range review {
		if !slices.ContainsFunc(sites, j.covers) {
			t.Errorf("the review judges %s calling %q, which the program does not: take the entry out", j.at, j.call)
		}
	}
	for _, o := range own {
		if !slices.ContainsFunc(sites, func(s site) bool { return strings.HasPrefix(s.function, o.at) }) {
			t.Errorf("the table of own labels has %s, which arms nothing: take the entry out", o.at)
		}
	}
}

// TestGateCanFail runs the gate over modules as they must not be.
func TestGateCanFail(t *testing.T) {
	cases := []struct{ name, source, want string }{
		{"package time", "import \"time\"\nfunc F() { time.Sleep(1) }", "a.go:3: time.Sleep: a re-timed module still arms"},
		{"under another name", "import t \"time\"\nfunc F() { t.AfterFunc(1, nil) }", "a.go:3: time.AfterFunc: a re-timed module"},
		{"with a dot", "import . \"time\"\nfunc F() { NewTicker(1) }", "a.go:3: time.NewTicker: a re-timed module"},
		{"as a value", "import \"time\"\nvar After = time.After", "a.go:3: time.After: a re-timed module"},
		{"re-armed through a field", "import \"time\"\ntype T struct{ *time.Timer }\nfunc (t T) F() { t.Reset(1) }", "a.go:4: time.Timer.Reset: a re-timed module"},
		{"context", "import \"context\"\nfunc F() { context.WithTimeoutCause(nil, 1, nil) }", "a.go:3: context.WithTimeoutCause: a re-timed module"},
		{"linkname", "import _ \"unsafe\"\n//go:linkname sleep time.Sleep\nfunc sleep(int64)", "a.go:3: //go:linkname sleep time.Sleep: a re-timed module"},
		{"deadline of a socket", "import (\n\"net\"\n\"time\"\n)\nfunc F(c net.Conn) { c.SetReadDeadline(time.Now().Add(1)) }", "a.go:6: net.Conn.SetReadDeadline: not reviewed"},
		{"deadline of a socket's own interface", "import \"time\"\ntype C interface{ SetDeadline(time.Time) error }\nfunc F(c C, at time.Time) { c.SetDeadline(at) }", "a.go:4: p8.C.SetDeadline: not reviewed"},
		{"deadline function as a value", "import \"net\"\nfunc F(c *net.UDPConn) any { return c.SetDeadline }", "a.go:3: net.conn.SetDeadline: not reviewed"},
		{"time-out of a dialler", "import \"net\"\nvar D = net.Dialer{Timeout: 1}", "a.go:3: net.Dialer.Timeout: not reviewed"},
		{"time-out of an HTTP client", "import \"net/http\"\nfunc F(c *http.Client) { c.Timeout = 1 }", "a.go:3: http.Client.Timeout: not reviewed"},
		{"a system call", "import \"syscall\"\nfunc F() { syscall.Nanosleep(nil, nil) }", "a.go:3: syscall.Nanosleep: not reviewed"},
	}
	var sources []string
	for _, c := range cases {
		sources = append(sources, c.source)
	}
	listing, broken, err := Survey(fixture(t, sources...), "off", ".")
	if err != nil || len(broken) > 0 {
		t.Fatalf("%v, broken: %v", err, broken)
	}
	problems := map[string][]string{}
	for _, problem := range Problems(listing) {
		dir, rest, _ := strings.Cut(strings.TrimPrefix(problem.Error(), "github.com/pion/fix/"), "/")
		problems[dir] = append(problems[dir], rest)
	}
	for i, c := range cases {
		got := problems[fmt.Sprintf("p%d", i)]
		if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s: problems %q, want one that begins %q", c.name, got, c.want)
		}
	}
}

// TestGateCanPass has what a re-timed module may do, and looks at what is listed of it.
func TestGateCanPass(t *testing.T) {
	listing, broken, err := Survey(fixture(t, `import (
	"net"
	"time"

	stdtime "tourbillon/timing/stdtime"
)

type T struct{ timer *stdtime.Timer }

func New() T { return T{timer: stdtime.NewTimer(1)} }

func (t T) Again() { t.timer.Reset(1) }

var past = time.Unix(0, 1)

type Conn struct{ net.Conn }

func (c Conn) SetReadDeadline(at time.Time) error { return c.Conn.SetReadDeadline(at) }

func F(c Conn, d net.Dialer) time.Duration {
	c.Conn.SetReadDeadline(time.Time{})
	c.Conn.SetWriteDeadline(time.Now())
	c.Conn.SetDeadline(past)
	c.SetReadDeadline(time.Now().Add(1))
	return d.Timeout
}
`), "off", ".")
	if err != nil || len(broken) > 0 {
		t.Fatalf("%v, broken: %v", err, broken)
	}
	if problems := Problems(listing); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	want := []inventory.Carried{
		{Module: "github.com/pion/fix", File: "p0/a.go", Line: 11, Call: "time.NewTimer", Label: "pion.fix", Tier: "precise"},
		{Module: "github.com/pion/fix", File: "p0/a.go", Line: 13, Call: "time.Timer.Reset", Label: "pion.fix", Tier: "precise"},
	}
	if !slices.Equal(listing.Carried, want) {
		t.Errorf("carried:\n%+v\nwant\n%+v", listing.Carried, want)
	}
}

// TestBrokenIsTold has a module that uses what the stand-in lacks, and lets a timer out to package time.
func TestBrokenIsTold(t *testing.T) {
	dir := fixture(t, "import (\n\t\"time\"\n\tstdtime \"tourbillon/timing/stdtime\"\n)\n\nvar N = stdtime.Nonesuch\nvar T *time.Timer = stdtime.NewTimer(1)\n")
	_, broken, err := Survey(dir, "off", ".")
	if err != nil || len(broken) != 2 {
		t.Fatalf("%v, broken: %v, want two places", err, broken)
	}
	for i, want := range []string{"p0/a.go:7:17: undefined: stdtime.Nonesuch", "p0/a.go:8:21: cannot use stdtime.NewTimer(1)"} {
		if got := broken[i].Err.Error(); broken[i].Module != "github.com/pion/fix" || !strings.HasPrefix(got, want) {
			t.Errorf("broken: %+v, want %q", broken[i], want)
		}
	}
}

// fixture is a program called tourbillon that links a module of pion's with one package for each source: p0, p1 …
func fixture(t *testing.T, sources ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	main := "package main\n\n"
	for i, source := range sources {
		main += fmt.Sprintf("import _ \"github.com/pion/fix/p%d\"\n", i)
		write(t, filepath.Join(dir, fmt.Sprintf("fix/p%d/a.go", i)), fmt.Sprintf("package p%d\n%s\n", i, source))
	}
	for name, text := range map[string]string{
		"go.mod":                    "module tourbillon\n\ngo 1.26\n\nrequire github.com/pion/fix v1.0.0\n\nreplace github.com/pion/fix => ./fix\n",
		"main.go":                   main + "\nfunc main() {}\n",
		"timing/stdtime/stdtime.go": "package stdtime\n\ntype Timer struct{}\n\nfunc NewTimer(d int) *Timer { return nil }\n\nfunc (t *Timer) Reset(d int) bool { return false }\n",
		"fix/go.mod":                "module github.com/pion/fix\n\ngo 1.26\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
