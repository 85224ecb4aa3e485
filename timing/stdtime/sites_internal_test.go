package stdtime

import (
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tourbillon/timing"
)

// unlinked are folders of the carried modules that no program of ours links: commands, and networks for tests. Their
// timers have the module's label.
var unlinked = []string{"cmd", "e2e", "test", "vnet"}

// TestEverySiteHasARow reads the sources of the pinned pion modules: each function that arms a timer has a row, and
// each row has such a function.
func TestEverySiteHasARow(t *testing.T) {
	used := map[*row]bool{}
	sites := 0
	for _, m := range carriedModules(t) {
		for _, a := range m.armings(t) {
			sites++
			if label, tier := SiteOf(a.function); !strings.HasPrefix(label, Module{Path: m.Path}.Label()) || tier == "" {
				t.Errorf("%s: %s has label %q and tier %q", a.position, a.function, label, tier)
			}
			r := rowOf(a.function)
			if r == nil && !slices.Contains(unlinked, a.topFolder()) {
				t.Errorf("%s: %s arms a timer by %s and has no row in sites.go", a.position, a.function, a.call)
			}
			if r != nil {
				used[r] = true
			}
		}
	}
	for i := range rows {
		if r := &rows[i]; !used[r] {
			t.Errorf("stale row: no function %s in the module of %s arms a timer", r.function, r.label)
		}
	}
	if sites < len(rows) {
		t.Errorf("%d sites found for %d rows: are the sources read?", sites, len(rows))
	}
}

// TestKindsFollowTheSource checks what newSiteLocked relies on: all calls of the constructor stand in one function, one
// after another without a branch between, and name their kinds in the order of the table.
func TestKindsFollowTheSource(t *testing.T) {
	var found []string
	within := map[string]bool{}
	for _, m := range carriedModules(t) {
		if m.Path != "github.com/pion/sctp" {
			continue
		}
		m.eachFunction(t, func(f function) {
			all := len(callsOf(f.body, "newRTXTimer"))
			for _, statement := range f.body.List {
				if _, plain := statement.(*ast.AssignStmt); !plain {
					continue
				}
				for _, call := range callsOf(statement, "newRTXTimer") {
					found = append(found, call.Args[0].(*ast.Ident).Name)
					within[f.name] = true
					all--
				}
			}
			if all != 0 {
				t.Errorf("%s: %d calls of newRTXTimer are not plain statements of the function", f.name, all)
			}
		})
	}
	if len(within) != 1 {
		t.Errorf("newRTXTimer is called in %d functions, want 1", len(within))
	}
	want := kinds["pion.sctp.rtx"]
	if len(found) != len(want) {
		t.Fatalf("kinds %v for the calls %v", want, found)
	}
	for i, label := range want {
		kind := strings.ReplaceAll(strings.TrimPrefix(label, "pion.sctp."), "-", "")
		if got := strings.ToLower(strings.TrimPrefix(found[i], "timer")); got != kind {
			t.Errorf("call %d of newRTXTimer makes %s, the table says %s", i+1, found[i], label)
		}
	}
}

func callsOf(n ast.Node, name string) (calls []*ast.CallExpr) {
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if called, ok := call.Fun.(*ast.Ident); ok && called.Name == name {
				calls = append(calls, call)
			}
		}
		return true
	})
	return calls
}

// TestNobodyMeasuresTimerChannels holds the one difference in the channels harmless: no carried module asks for the
// length or capacity of a timer's channel.
func TestNobodyMeasuresTimerChannels(t *testing.T) {
	for _, m := range carriedModules(t) {
		m.eachFunction(t, func(f function) {
			for _, name := range []string{"len", "cap"} {
				for _, call := range callsOf(f.body, name) {
					if of, ok := call.Args[0].(*ast.SelectorExpr); ok && of.Sel.Name == "C" {
						t.Errorf("%s takes the %s of a channel C", f.name, name)
					}
				}
			}
		})
	}
}

func TestATierForEachLabel(t *testing.T) {
	tiers := map[string]Tier{}
	for _, r := range rows {
		if before, ok := tiers[r.label]; ok && before != r.tier {
			t.Errorf("%s is both %s and %s: its lateness would say nothing", r.label, before, r.tier)
		}
		tiers[r.label] = r.tier
		if r.tier != Precise && r.tier != Coarse || r.why == "" {
			t.Errorf("%s: tier %q, reason %q", r.function, r.tier, r.why)
		}
	}
}

func TestSiteOf(t *testing.T) {
	cases := []struct {
		function, label string
		tier            Tier
	}{
		{"github.com/pion/turn/v5/internal/client.(*Transaction).StartRtxTimer", "pion.turn.transaction", Precise},
		{"github.com/pion/turn/v6/internal/client.(*Transaction).StartRtxTimer", "pion.turn.transaction", Precise},
		{"github.com/pion/turn/v5/internal/client.(*PeriodicTimer).Start.func1", "pion.turn.refresh", Precise},
		{"github.com/pion/turn/v5/internal/client.NewUDPConn.(*PeriodicTimer).Start.func3", "pion.turn.refresh", Precise},
		{"github.com/pion/turn/v5/internal/client.NewUDPConn", "pion.turn.read-deadline", Precise},
		{"github.com/pion/turn/v5/internal/client.NewUDPConnection", "pion.turn", Precise},
		{"github.com/pion/turn/v5/internal/client.(*X).NewUDPConn", "pion.turn", Precise},
		{"github.com/pion/turn/v5.(*Server).readListener.func1", "pion.turn.tls", Precise},
		{"github.com/pion/turn/v5.(*Server).readListener.gowrap2", "pion.turn.tls", Precise},
		{"github.com/pion/turn/v5/internal/allocation.(*Permission).start", "pion.turn.lifetime", Coarse},
		{"github.com/pion/sctp.newRTXTimer", "pion.sctp.rtx", Precise},
		{"github.com/pion/sctp.(*Association).timerLoop", "pion.sctp.rack", Precise},
		{"github.com/pion/webrtc/v4.New", "pion.webrtc", Precise},
		{"github.com/pion/newcomer.Run.func1.2", "pion.newcomer", Precise},
		{"tourbillon/turn.Listen", "other", Precise},
		{"main.main", "other", Precise},
		{"", "other", Precise},
	}
	for _, c := range cases {
		if label, tier := SiteOf(c.function); label != c.label || tier != c.tier {
			t.Errorf("%s: %s, %s, want %s, %s", c.function, label, tier, c.label, c.tier)
		}
	}
	if got := LabelsOf("github.com/pion/sctp.newRTXTimer"); len(got) != 5 || got[3] != "pion.sctp.t3-rtx" {
		t.Errorf("labels %v of newRTXTimer, want the five kinds", got)
	}
	if got := LabelsOf("github.com/pion/sctp.newAckTimer"); !slices.Equal(got, []string{"pion.sctp.ack"}) {
		t.Errorf("labels %v of newAckTimer", got)
	}
}

// TestCoarseSitesUseTheCoarseClass arms the two tiers on the engine: a coarse timer fires on the grid of the slack.
func TestCoarseSitesUseTheCoarseClass(t *testing.T) {
	engine, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() }) // It cannot fail.
	p := newProcess(engine, timing.NewMeter(engine, nil))
	fired := make(chan timing.Instant)
	s := p.newSiteLocked("github.com/pion/turn/v5/internal/allocation.(*Permission).start", nil)
	due := engine.Now().Add(Millisecond)
	newFuncTimer(s, Millisecond, func() { fired <- engine.Now() })
	const slack = timing.Instant(timing.CoarseSlack)
	if at, grid := <-fired, (due+slack-1)/slack*slack; at < grid {
		t.Errorf("a coarse timer fired %v before the grid of its class", grid.Sub(at))
	}
	if s.inline == p.lanes[Precise].inline || s.spawned == p.lanes[Precise].spawned {
		t.Error("a coarse site has the precise clock")
	}
	s = p.newSiteLocked("github.com/pion/turn/v5/internal/client.(*Transaction).StartRtxTimer", nil)
	if s.inline != p.lanes[Precise].inline || s.spawned != p.lanes[Precise].spawned {
		t.Error("a precise site has another clock")
	}
}

// topFolder is the first folder below the module's root, "." for the root itself.
func (a siteInSource) topFolder() string {
	first, _, below := strings.Cut(filepath.ToSlash(a.file), "/")
	if !below {
		return "."
	}
	return first
}
