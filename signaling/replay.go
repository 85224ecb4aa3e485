package signaling

// replay numbers the messages of one session and keeps those that its client has not acknowledged, within limits.
// It is pure: its owner serialises calls. The zero value has sent nothing and holds no memory.
type replay struct {
	// sent is the number of the latest message, kept the texts of the last len(kept) ones, oldest first.
	sent  uint64
	kept  [][]byte
	bytes int
}

// add numbers a message and keeps it; over the limits the oldest ones are given up.
func (r *replay) add(text []byte, limits Limits) uint64 {
	r.sent++
	r.kept = append(r.kept, text)
	r.bytes += len(text)
	for len(r.kept) > limits.ReplayMessages || r.bytes > limits.ReplayBytes {
		r.forget(1)
	}
	return r.sent
}

// acknowledge forgets what the client has seen.
func (r *replay) acknowledge(last uint64) {
	if last > r.sent {
		return // Made up: nothing of that number was sent.
	}
	if first := r.first(); last >= first {
		r.forget(int(last-first) + 1)
	}
}

// since returns the messages after the given number, whose first has the number last+1; false when some are kept no
// more, or the number is made up.
func (r *replay) since(last uint64) ([][]byte, bool) {
	first := r.first()
	if last > r.sent || last+1 < first {
		return nil, false
	}
	return r.kept[last+1-first:], true
}

// first is the number of the oldest message that is kept, or of the next one.
func (r *replay) first() uint64 { return r.sent - uint64(len(r.kept)) + 1 }

func (r *replay) forget(n int) {
	for _, text := range r.kept[:n] {
		r.bytes -= len(text)
	}
	clear(r.kept[:n])
	if r.kept = r.kept[n:]; len(r.kept) == 0 {
		r.kept = nil
	}
}
