package negotiate

import (
	"encoding/binary"
	"net/netip"
)

// flow is one direction between two addresses.
type flow struct{ from, to netip.AddrPort }

func (f flow) back() flow { return flow{f.to, f.from} }

// counter tells datagrams that repeat earlier ones. It is not safe for concurrent use.
type counter struct {
	retransmits int
	// open are the flows on which a check waits for its answer, seen the handshake messages of each flow.
	open map[flow]bool
	seen map[flow]map[uint32]bool
}

func newCounter() *counter {
	return &counter{open: map[flow]bool{}, seen: map[flow]map[uint32]bool{}}
}

// sent looks at a datagram that was sent, delivered at one that is not lost.
func (c *counter) sent(f flow, data []byte) {
	switch {
	case len(data) >= 20 && data[0] < 4: // STUN (RFC 7983 section 7).
		if binary.BigEndian.Uint16(data) == 0x0001 { // A Binding request.
			if c.open[f] {
				c.retransmits++
			}
			c.open[f] = true
		}
	case len(data) > 0 && data[0] >= 20 && data[0] < 64: // DTLS.
		c.records(f, data)
	}
}

func (c *counter) delivered(f flow, data []byte) {
	if len(data) >= 20 && binary.BigEndian.Uint16(data) == 0x0101 { // A Binding success response.
		c.open[f.back()] = false
	}
}

// records looks for handshake messages among DTLS records (RFC 6347 section 4.1): a message keeps its number when it is
// sent again. What is encrypted is the last message of a side, Finished, if it is of the handshake.
func (c *counter) records(f flow, data []byte) {
	const recordHead, handshake, messageNumber = 13, 22, 4
	repeated := false
	for len(data) >= recordHead {
		epoch, length := binary.BigEndian.Uint16(data[3:]), int(binary.BigEndian.Uint16(data[11:]))
		body := data[recordHead:]
		if length > len(body) {
			break
		}
		if data[0] == handshake && length > messageNumber+8 {
			key := uint32(epoch) << 16
			if epoch == 0 {
				key |= uint32(binary.BigEndian.Uint16(body[messageNumber:]))
			}
			repeated = c.again(f, key) || repeated
		}
		data = body[length:]
	}
	if repeated {
		c.retransmits++
	}
}

func (c *counter) again(f flow, key uint32) bool {
	if c.seen[f] == nil {
		c.seen[f] = map[uint32]bool{}
	}
	before := c.seen[f][key]
	c.seen[f][key] = true
	return before
}
