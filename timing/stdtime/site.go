package stdtime

import (
	"maps"
	"runtime"

	"tourbillon/timing"
)

// site is one place in the program that arms timers: its clocks, for callbacks that get a goroutine and for channel
// sends, and the label of its lateness.
type site struct {
	process         *process
	spawned, inline *lane
	// label is nil where nothing is recorded.
	label *timing.Label
	// constructor is the row of a function that makes several kinds of timers, which its callers tell apart: then the
	// fields above are not used. nil for all others.
	constructor *row
}

// siteOf returns the site of the function skip calls above its caller. Finding the caller is a third of what arming
// costs, so the second look, for functions of several kinds, is left to those.
func siteOf(skip int) *site {
	p := current.Load()
	var pcs [1]uintptr
	runtime.Callers(skip+2, pcs[:])
	s := p.site(pcs[0], nil)
	if s.constructor == nil {
		return s
	}
	runtime.Callers(skip+3, pcs[:])
	return p.site(pcs[0], s.constructor)
}

// site finds the site of a call, or makes it at the first; constructor is the row of the function called, if that one
// has several kinds.
func (p *process) site(pc uintptr, constructor *row) *site {
	if s, ok := (*p.sites.Load())[pc]; ok {
		return s
	}
	p.addSite.Lock()
	defer p.addSite.Unlock()
	sites := maps.Clone(*p.sites.Load())
	s, ok := sites[pc]
	if !ok {
		frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		s = p.newSiteLocked(frame.Function, constructor)
		sites[pc] = s
		p.sites.Store(&sites)
	}
	return s
}

func (p *process) newSiteLocked(function string, constructor *row) *site {
	r := rowOf(function)
	if constructor == nil && r != nil && kinds[r.label] != nil {
		return &site{constructor: r}
	}
	label, tier := SiteOf(function)
	if constructor != nil {
		label, tier = p.nextKindLocked(constructor, function), constructor.tier
	}
	s := &site{process: p, spawned: p.lanes[tier].spawned, inline: p.lanes[tier].inline}
	if p.meter != nil {
		s.label = p.meter.Label(label)
	}
	return s
}

// nextKindLocked tells which of the constructor's kinds a call from the function makes: the kinds stand in the order of
// the calls in the source, and the first execution of each keeps that order, on however many goroutines.
func (p *process) nextKindLocked(constructor *row, function string) string {
	n := p.calls[function]
	p.calls[function]++
	if labels := kinds[constructor.label]; n < len(labels) {
		return labels[n]
	}
	return constructor.label
}

// record notes how late a firing is and returns that.
func (s *site) record(due timing.Instant) (late Duration) {
	now := s.process.clock.Now()
	late = now.Sub(due)
	if s.label != nil {
		s.label.Record(late, now)
	}
	return late
}
