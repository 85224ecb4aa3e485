package client

import "encoding/json"

// Bounds of what is kept for the server to have missed.
const (
	maxKept      = 256
	maxKeptBytes = 512 << 10
)

// outbox numbers the client's messages and keeps those that the server may not have got. It is pure: its owner, the
// room, serialises calls.
type outbox struct {
	// last is the number of the latest message, kept the last len(kept) ones, of which the first written were given to
	// a link.
	last    uint64
	kept    []outbound
	bytes   int
	written int
	// condemned means that the first message which the server has not got ended a connection.
	condemned bool
}

// size is roughly what a message holds.
func size(m outbound) int {
	return len(m.SDP) + len(m.Candidate) + len(m.Data) + len(m.Stats) + len(m.Metadata) + 100
}

// add numbers a message; false when there is no room for it.
func (o *outbox) add(m outbound) bool {
	if len(o.kept) >= maxKept || o.bytes+size(m) > maxKeptBytes {
		return false
	}
	o.last++
	m.N = o.last
	o.kept = append(o.kept, m)
	o.bytes += size(m)
	return true
}

// unwritten takes the messages that no link was given yet.
func (o *outbox) unwritten() []outbound {
	waiting := o.kept[o.written:]
	o.written = len(o.kept)
	return waiting
}

// acknowledge drops what the server has got.
func (o *outbox) acknowledge(got uint64) {
	first := o.last - uint64(len(o.kept)) + 1
	if got >= first {
		o.forget(int(min(got, o.last)-first) + 1)
	}
}

// resumed drops what the server has got, and the message after it where that ended the connection; the rest is to be
// written again.
func (o *outbox) resumed(got uint64) {
	o.acknowledge(got)
	if o.condemned && o.written > 0 {
		o.forget(1)
	}
	o.written, o.condemned = 0, false
}

// restarted begins the numbers anew, for a session that did not survive. What was written may have arrived, so only
// what was not is written again.
func (o *outbox) restarted() {
	o.forget(o.written)
	o.last, o.written, o.condemned = 0, 0, false
	for i := range o.kept {
		o.last++
		o.kept[i].N = o.last
	}
}

func (o *outbox) forget(n int) {
	for _, m := range o.kept[:n] {
		o.bytes -= size(m)
	}
	clear(o.kept[:n])
	o.kept = o.kept[n:]
	o.written = max(o.written-n, 0)
}

// encode returns a message's JSON text, or why there is none: only what the caller gave can be at fault.
func encode(m outbound) ([]byte, error) { return json.Marshal(m) }
