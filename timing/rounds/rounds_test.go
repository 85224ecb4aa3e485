package rounds_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"tourbillon/timing/rounds"
)

// childVariable has the test binary be a child: it answers the order it reads, and ends when its input does.
const childVariable = "ROUNDS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "answer":
		line := make([]byte, 100)
		n, _ := os.Stdin.Read(line)
		_, _ = os.Stdout.Write(line[:n])
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "fail":
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
}

// TestMeasure holds that every other round runs in the other order and that a failure names its place.
func TestMeasure(t *testing.T) {
	var order []string
	all, err := rounds.Measure(t.Context(), 3, []string{"a", "b"}, func(_ context.Context, arm string) (int, error) {
		order = append(order, arm)
		return len(order), nil
	})
	if err != nil || strings.Join(order, "") != "abbaab" || all[1]["b"] != 3 {
		t.Errorf("order %v, rounds %v, %v", order, all, err)
	}
	failed := errors.New("no pair")
	_, err = rounds.Measure(t.Context(), 1, []string{"a"}, func(context.Context, string) (int, error) { return 0, failed })
	if !errors.Is(err, failed) || !strings.Contains(err.Error(), "round 1, arm a") {
		t.Errorf("a failure: %v", err)
	}
}

func TestStatistics(t *testing.T) {
	for hundredths, want := range map[int]int64{1: 1, 50: 2, 51: 3, 75: 3, 95: 4, 100: 4} {
		if got := rounds.Nearest([]int64{1, 2, 3, 4}, hundredths); got != want {
			t.Errorf("%d %%: %d, want %d", hundredths, got, want)
		}
	}
	if got := rounds.Median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median of four: %v, want 2.5", got)
	}
	if got := rounds.Median([]float64{9, 1, 3}); got != 3 {
		t.Errorf("median of three: %v, want 3", got)
	}
}

func TestRatio(t *testing.T) {
	all := []rounds.Round[float64]{{"ours": 6, "other": 10}, {"ours": 7, "other": 20}, {"ours": 9, "other": 10}, {"ours": 1, "other": 0}}
	itself := func(x float64) float64 { return x }
	q := rounds.Figure[float64]{Name: "delay", Of: itself, Bound: 0.5}.Ratio(all[:3], "ours", "other")
	if q.Ratio != 0.6 || q.Low != 0.35 || q.High != 0.9 || *q.Reached || q.Verdict() != "0.50, NOT reached" {
		t.Errorf("%+v, %s", q, q.Verdict())
	}
	q = rounds.Figure[float64]{Name: "rate", Of: itself, Bound: 0.5, More: true}.Ratio(all[:3], "ours", "other")
	if !*q.Reached || q.Verdict() != "0.50, reached" {
		t.Errorf("%+v, %s", q, q.Verdict())
	}
	q = rounds.Figure[float64]{Name: "delay", Of: itself}.Ratio(all[3:], "ours", "other")
	if q.Ratio != 0 || q.Bound != nil || q.Verdict() != "none" {
		t.Errorf("over nothing: %+v", q)
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	rounds.WriteRatios(w, "other", []rounds.Ratio{q})
	_ = w.Flush()
	if !strings.Contains(text.String(), "to other") || !strings.Contains(text.String(), "ours delay") {
		t.Errorf("%q", text.String())
	}
}

func TestOptions(t *testing.T) {
	flags := rounds.Flags("bench tea")
	n := flags.Int("n", 1, "")
	if err := rounds.Parse(flags, []string{"--n", "2"}); err != nil || *n != 2 {
		t.Errorf("%d, %v", *n, err)
	}
	for args, want := range map[string]string{"--n x": "see `tourbillon help`", "now": `bench tea takes no argument "now"`} {
		var usage *rounds.UsageError
		if err := rounds.Parse(rounds.Flags("bench tea"), strings.Fields(args)); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a usage error with %q", args, err, want)
		}
	}
	if arms, err := rounds.Arms("b,a", "a", "b", "c"); err != nil || strings.Join(arms, "") != "ba" {
		t.Errorf("%v, %v", arms, err)
	}
	for _, list := range []string{"", "d", "a,a"} {
		if _, err := rounds.Arms(list, "a", "b"); err == nil || !strings.Contains(err.Error(), "--arm a,b") {
			t.Errorf("%q: %v", list, err)
		}
	}
}

// TestPlain refuses what would compare a program with itself.
func TestPlain(t *testing.T) {
	if _, err := rounds.Plain("bench tea", "", false); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("from the program with pion as published: %v", err)
	}
	const want = rounds.PlainName + ", the same program with pion as published, is not there: run `make build`"
	if _, err := rounds.Plain("bench tea", "", true); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("without the other program: %v", err)
	}
	named := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(named, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if plain, err := rounds.Plain("bench tea", named, true); err != nil || plain != named {
		t.Errorf("%q, %v", plain, err)
	}
}

// TestProcess gives a child an order, reads its answer and ends it both ways.
func TestProcess(t *testing.T) {
	t.Setenv(childVariable, "answer")
	for _, end := range []func(*rounds.Process) error{(*rounds.Process).Wait, (*rounds.Process).Stop} {
		p, err := rounds.Order(t.Context(), io.Discard, map[string]int{"n": 7}, os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ N int }
		if err := p.Answer(&answer); err != nil || answer.N != 7 || p.PID() == 0 {
			t.Errorf("%+v, %v", answer, err)
		}
		if err := end(p); err != nil {
			t.Error(err)
		}
	}
	t.Setenv(childVariable, "fail")
	p, err := rounds.Launch(t.Context(), io.Discard, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Answer(&struct{}{}); err == nil {
		t.Error("a child that said nothing has answered")
	}
	if err := p.Wait(); err == nil {
		t.Error("a child that failed has ended well")
	}
	if _, err := rounds.Launch(t.Context(), io.Discard, filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("nothing was started")
	}
}
