package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSelf connects and sends for real, briefly.
func TestSelf(t *testing.T) {
	var out bytes.Buffer
	build := Build{Retimed: true, Clock: "runtime", Revision: "r"}
	o := Options{Connects: 2, Duration: time.Second}
	if err := Self(t.Context(), timing.Runtime{}, build, o, &out); err != nil {
		t.Fatal(err)
	}
	var a Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if a.Build != build || a.ConnectP50NS <= 0 || a.BytesPerSec <= 0 || a.CPUPerConnect <= 0 || a.CPUPerMB <= 0 {
		t.Errorf("answer %+v", a)
	}
}

func TestSelfEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Self(ctx, timing.Runtime{}, Build{}, Options{Connects: 1, Duration: time.Hour}, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestParseOptions(t *testing.T) {
	o, err := ParseOptions([]string{"--pairs", "3", "--json", "--arm", "pion,runtime"})
	want := Options{Clock: "hrtimer", Pairs: 3, Arms: []string{"pion", "runtime"}, Connects: 40, Duration: 2 * time.Second, JSON: true}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("options %+v, %v", o, err)
	}
	if o, err := ParseOptions([]string{"--arm", "self"}); err != nil || !o.Self || o.Arms != nil {
		t.Errorf("--arm self: %+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"--pairs 0":              "from 1 to 1000",
		"--pairs five":           "see `tourbillon help`",
		"--connects 0":           "from 1 to 10000",
		"--duration 0s":          "more than 0",
		"--arm tourbillon":       "add it: every ratio is to it",
		"--arm pion,coturn":      `no arm "coturn"`,
		"--arm pion,pion":        "or twice",
		"now":                    `no argument "now"`,
		"--duration 2h --json x": `no argument "x"`,
	} {
		_, err := ParseOptions(strings.Fields(args))
		var usage *rounds.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a usage error with %q", args, err, want)
		}
	}
}

func TestReport(t *testing.T) {
	arm := func(connect int64, rate float64) Answer {
		return Answer{ConnectP50NS: connect, BytesPerSec: rate, CPUPerConnect: 2 * connect, CPUPerMB: 7}
	}
	all := []rounds.Round[Answer]{
		{ArmTourbillon: arm(1050, 100), ArmPion: arm(1000, 100)},
		{ArmTourbillon: arm(2400, 80), ArmPion: arm(2000, 100)},
		{ArmTourbillon: arm(3300, 85), ArmPion: arm(3000, 100)},
	}
	r := newReport([]string{ArmTourbillon, ArmPion}, all)
	if want := (Row{ArmTourbillon, 3, 2400, 85, 4800, 7}); r.Rows[0] != want {
		t.Errorf("row %+v, want %+v", r.Rows[0], want)
	}
	connect, rate, cpu := r.Ratios[0], r.Ratios[1], r.Ratios[2]
	if math.Abs(connect.Ratio-1.1) > 1e-9 || connect.Low != 1.05 || connect.High != 1.2 || !*connect.Reached {
		t.Errorf("connect %+v", connect)
	}
	if rate.Ratio != 0.85 || *rate.Reached {
		t.Errorf("throughput %+v", rate)
	}
	if cpu.Reached != nil || len(r.Ratios) != len(figures()) {
		t.Errorf("CPU %+v of %d ratios", cpu, len(r.Ratios))
	}
	var text strings.Builder
	if err := r.writeText(&text); err != nil || !strings.Contains(text.String(), "0.90, NOT reached") || !strings.Contains(text.String(), "1.10, reached") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// TestFindPrograms refuses what would compare a program with itself.
func TestFindPrograms(t *testing.T) {
	_, err := findPrograms(Build{}, Options{})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("from the program with pion as published: %v", err)
	}
	_, err = findPrograms(Build{Retimed: true}, Options{})
	if err == nil || !strings.Contains(err.Error(), "tourbillon-stdtime, the same program with pion as published, is not there: run `make build`") {
		t.Errorf("without the other program: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if p, err := findPrograms(Build{Retimed: true, Revision: "r"}, Options{Plain: plain}); err != nil || p.plain != plain || p.revision != "r" {
		t.Errorf("--plain: %+v, %v", p, err)
	}
}

// TestAccept holds that each arm's process has to be what the arm claims.
func TestAccept(t *testing.T) {
	p := programs{revision: "r"}
	good := Build{Retimed: true, Clock: "hrtimer", Revision: "r"}
	if err := p.accept(ArmTourbillon, "hrtimer", good); err != nil {
		t.Error(err)
	}
	if err := p.accept(ArmPion, "runtime", Build{Clock: "runtime", Revision: "r"}); err != nil {
		t.Error(err)
	}
	for what, b := range map[string]Build{
		"plain":    {Clock: "hrtimer", Revision: "r"},
		"clock":    {Retimed: true, Clock: "runtime", Revision: "r"},
		"revision": {Retimed: true, Clock: "hrtimer", Revision: "s"},
	} {
		if p.accept(ArmTourbillon, "hrtimer", b) == nil {
			t.Errorf("another %s was accepted", what)
		}
	}
	if p.accept(ArmPion, "hrtimer", good) == nil {
		t.Error("re-timed pion was accepted as pion as published")
	}
}
