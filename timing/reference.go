package timing

import "time"

// ReferencePeriod is the period of the reference timers: the 20 ms of an audio packet.
const ReferencePeriod = 20 * time.Millisecond

// Reference runs one and the same periodic timer on two clocks, the injected one and package time as control, so that
// every page and metric can show both arms under the same load. The two run half a period apart.
type Reference struct {
	injected, control referenceArm
}

// NewReference starts both timers. Stop it after use.
func NewReference(injected, control Clock) *Reference {
	r := &Reference{}
	start := injected.Now().Add(ReferencePeriod)
	r.injected.run(injected, start)
	r.control.run(control, start.Add(ReferencePeriod/2))
	return r
}

// Take returns what both arms did since the last Take.
func (r *Reference) Take() (injected, control Summary) {
	return r.injected.lateness.Take(), r.control.lateness.Take()
}

// Stop ends both timers.
func (r *Reference) Stop() {
	r.injected.periodic.Stop()
	r.control.periodic.Stop()
}

type referenceArm struct {
	lateness *Lateness
	periodic *Periodic
}

func (a *referenceArm) run(c Clock, first Instant) {
	a.lateness = NewLateness()
	a.periodic = Every(c, first, ReferencePeriod, func(tick Tick) {
		a.lateness.Record(c.Now().Sub(tick.Due))
	})
}
