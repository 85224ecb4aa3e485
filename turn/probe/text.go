package probe

import (
	"fmt"
	"io"
	"time"
)

// WriteText shows a report to people.
func (r Report) WriteText(w io.Writer) error {
	t := &text{w: w}
	for i := range r.Servers {
		t.server(&r.Servers[i])
	}
	for _, n := range r.NAT {
		t.nat(n)
	}
	return t.err
}

// text writes lines; the first failure to write stays.
type text struct {
	w   io.Writer
	err error
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *text) server(s *Server) {
	verdict := string(s.State)
	if s.State == StateFailed {
		verdict = "FAILED"
	}
	t.line("%s  %s", s.URL, verdict)
	for _, step := range s.Steps {
		t.line("  %-9s %-6s %s (%v)", step.Name, step.Status, step.Detail, time.Duration(step.TookNS).Round(10*time.Microsecond))
	}
	if s.Software != "" {
		t.line("  software  %s", s.Software)
	}
	if s.Allocation != nil {
		for _, said := range s.Allocation.Authentication {
			t.line("  said      %s", said)
		}
	}
	for _, series := range s.Series {
		t.series(series)
	}
	for _, p := range s.Problems {
		t.line("  %-9s %s", problemKind(p), p.What)
		t.line("            → %s", p.Remedy)
	}
}

func problemKind(p *Problem) string {
	if p.Fatal {
		return "PROBLEM"
	}
	return "note"
}

func (t *text) series(s *Series) {
	us := func(ns int64) time.Duration { return time.Duration(ns).Round(time.Microsecond) }
	counts := fmt.Sprintf("%d sent, %d back, %.1f %% lost", s.Sent, s.Received, s.LossPercent)
	if s.Open > 0 {
		counts += fmt.Sprintf(", %d still on their way", s.Open)
	}
	if s.Received == 0 {
		t.line("  %-9s %s (sent by the %s)", s.What, counts, s.SentBy)
		return
	}
	t.line("  %-9s %s; round trip min %v, mean %v, max %v, jitter %v (sent by the %s)",
		s.What, counts, us(s.MinNS), us(s.MeanNS), us(s.MaxNS), us(s.JitterNS), s.SentBy)
}

func (t *text) nat(n *NAT) {
	t.line("NAT         %s", n.Words)
	if n.Filtering != "" {
		t.line("  filtering %s", n.Filtering)
	}
	if n.Hairpin != nil {
		t.line("  hairpin   %v", *n.Hairpin)
	}
}
