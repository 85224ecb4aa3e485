package stdtime

import (
	"maps"
	"runtime"
	"strings"

	"tourbillon/timing"
)

// site is one place in the program that arms timers: the clock that records under its label, for callbacks that get a
// goroutine and for channel sends.
type site struct {
	spawned, inline timing.Clock
}

// siteOf returns the site of the function skip calls above its caller.
func siteOf(skip int) *site {
	p := current.Load()
	var pcs [1]uintptr
	runtime.Callers(skip+2, pcs[:])
	if s, ok := (*p.sites.Load())[pcs[0]]; ok {
		return s
	}
	return p.newSite(pcs[0])
}

func (p *process) newSite(pc uintptr) *site {
	p.addSite.Lock()
	defer p.addSite.Unlock()
	clock := p.clock
	if p.meter != nil {
		frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		clock = p.meter.Clock(labelOf(frame.Function), p.clock)
	}
	s := &site{spawned: clock, inline: timing.Inline(clock)}
	sites := maps.Clone(*p.sites.Load())
	sites[pc] = s
	p.sites.Store(&sites)
	return s
}

// labelOf names the module that a function belongs to: "github.com/pion/ice/v4.(*Agent).run" is "pion.ice". Functions
// of modules that were not re-timed are "other".
func labelOf(function string) string {
	for _, m := range Modules() {
		if rest, ok := strings.CutPrefix(function, m.Path); ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/")) {
			return m.Label()
		}
	}
	return "other"
}
