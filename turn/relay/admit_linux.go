package relay

// Admit takes a packet of so many payload bytes, which Go relays, from the ceilings that the loop takes from for its own,
// and from all or from none: an allocation has one rate, whichever way its packets go. It neither blocks nor allocates
// and is safe for concurrent use.
func (r *Relay) Admit(d Direction, length int) Refusal {
	r.writing.RLock()
	defer r.writing.RUnlock()
	if r.gone {
		return Admitted // Nothing leaves through it, and its entry is somebody else's.
	}
	s := &r.loop.m.sockets[r.index]
	packets, bytes := &s.upPackets, &s.upBytes
	if d == FromPeer {
		packets, bytes = &s.downPackets, &s.downBytes
	}
	now := uint64(nanotime())
	if refusal := takeBoth(packets, bytes, now, uint32(length)); refusal != Admitted {
		return refusal
	}
	if !r.loop.plane.drawAt(now, length) {
		giveBackBoth(packets, bytes, uint32(length))
		return Server
	}
	return Admitted
}

// Draw takes payload bytes from the ceiling of the whole plane, for what is relayed beside it, or none. It is for lumps:
// all loops share that ceiling.
func (p *Plane) Draw(bytes int) bool { return p.drawAt(uint64(nanotime()), bytes) }

func (p *Plane) drawAt(now uint64, bytes int) bool {
	p.using.RLock()
	defer p.using.RUnlock()
	if p.closed {
		return false
	}
	b := &p.shared.bandwidth
	return b.cost == 0 || b.take(now, b.cost*uint64(bytes)>>10)
}
