package timingtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tourbillon/timing"
)

// Step is one row of a [Schedule]: something that a protocol does at a time after its start.
type Step struct {
	What string
	// Standard is what the standard says, Want what the implementation is known to do. NoFigure says nothing.
	Standard, Want time.Duration
}

// NoFigure stands for a step that a standard or an implementation does not have.
const NoFigure time.Duration = -1

// Schedule is a table of what a protocol is to do and when, counted from its first step.
type Schedule struct {
	// Name says what is measured, Standard which document and section its figures are from.
	Name, Standard string
	Steps          []Step
}

// NewSchedule makes the steps out of two lists of instants in milliseconds, the standard's and the implementation's.
// The longer one decides how many there are.
func NewSchedule(name, standard, what string, standardMS, wantMS []int64) Schedule {
	s := Schedule{Name: name, Standard: standard}
	for i := range max(len(standardMS), len(wantMS)) {
		s.Steps = append(s.Steps, Step{fmt.Sprintf("%s %d", what, i+1), figureAt(standardMS, i), figureAt(wantMS, i)})
	}
	return s
}

func figureAt(ms []int64, i int) time.Duration {
	if i >= len(ms) {
		return NoFigure
	}
	return time.Duration(ms[i]) * time.Millisecond
}

// Then returns the schedule with one more step.
func (s Schedule) Then(what string, standard, want time.Duration) Schedule {
	s.Steps = append(s.Steps[:len(s.Steps):len(s.Steps)], Step{what, standard, want})
	return s
}

// Check logs the table with what was seen, in the order of the steps that have a Want, and fails the test where one was
// not at that very nanosecond or where there were more or fewer of them. start is subtracted from the instants.
func (s Schedule) Check(t testing.TB, start timing.Instant, seen []timing.Instant) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "%s, beside %s\n%-28s %14s %14s %14s\n", s.Name, s.Standard, "", "standard", "expected", "seen")
	rest := seen
	for _, step := range s.Steps {
		at := NoFigure
		if step.Want != NoFigure && len(rest) > 0 {
			at, rest = rest[0].Sub(start), rest[1:]
		}
		fmt.Fprintf(&table, "%-28s %14s %14s %14s%s\n", step.What, figure(step.Standard), figure(step.Want), figure(at), step.deviation())
		if at != step.Want {
			t.Errorf("%s: %s at %s, want %s", s.Name, step.What, figure(at), figure(step.Want))
		}
	}
	for _, extra := range rest {
		t.Errorf("%s: one step more at %v", s.Name, extra.Sub(start))
	}
	t.Log(table.String())
}

func (s Step) deviation() string {
	switch s.Standard {
	case s.Want:
		return ""
	case NoFigure:
		return "  (the standard has none)"
	}
	return "  (not as the standard)"
}

func figure(d time.Duration) string {
	if d == NoFigure {
		return "-"
	}
	return d.String()
}

// Instants returns when packets were sent.
func Instants(packets []Packet) []timing.Instant {
	at := make([]timing.Instant, 0, len(packets))
	for _, p := range packets {
		at = append(at, p.Sent)
	}
	return at
}
