//go:build linux

package bench

import "tourbillon/timing"

// HostFacts are the facts about the machine that every benchmark prints: as a value for JSON, and as one line.
func HostFacts() (facts any, line string) {
	h := readHost()
	return h, h.String()
}

// Calibrate returns how many iterations of work make a job of a load.
func Calibrate() (work int) { return calibrate(timing.Runtime{}) }

// StartLoad starts the load of that name in this process; stop ends it and waits for it.
func StartLoad(name string, work int) (stop func(), err error) {
	l, err := startLoad(name, work)
	if err != nil {
		return nil, err
	}
	return l.stop, nil
}
