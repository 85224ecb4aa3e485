package peerjs

import "tourbillon/timing"

// letter is a message that waits for its addressee.
type letter struct {
	from *seat
	text []byte
}

// mailbox is what waits for an id that nobody has yet, oldest first.
type mailbox struct {
	dst string
	// until is when what is left goes back.
	until   timing.Instant
	letters []letter
	bytes   int
}

// put adds a letter if the limits of the mailbox and of its sender allow.
func (b *mailbox) put(l letter, limits Limits) bool {
	size := len(l.text)
	if len(b.letters) >= limits.WaitingMessages || b.bytes+size > limits.WaitingBytes || l.from.waiting+size > limits.WaitingBytes {
		return false
	}
	b.letters = append(b.letters, l)
	b.bytes += size
	l.from.waiting += size
	return true
}

// take empties the mailbox.
func (b *mailbox) take() []letter {
	letters := b.letters
	b.letters, b.bytes = nil, 0
	for _, l := range letters {
		l.from.waiting -= len(l.text)
	}
	return letters
}
