package signaling

// seated is a peer of a snapshot, and the connection that knows the rest of it; nil while the peer is away.
type seated struct {
	room, peer int
	conn       *conn
}

// snapshot lists the rooms, in no order. The hub's lock is held for what is the hub's alone: texts are made, and
// connections asked, after it.
func (h *hub) snapshot() []RoomInfo {
	infos, seats := h.list()
	for _, s := range seats {
		s.conn.describe(&infos[s.room].Peers[s.peer])
	}
	return infos
}

func (h *hub) list() (infos []RoomInfo, connected []seated) {
	h.mu.Lock()
	defer h.mu.Unlock()
	infos = make([]RoomInfo, 0, len(h.rooms))
	connected = make([]seated, 0, len(h.conns))
	for _, r := range h.rooms {
		info := RoomInfo{Name: r.name, Peers: make([]PeerInfo, len(r.members))}
		for i, m := range r.members {
			c := h.tellLocked(m, &info.Peers[i])
			if c != nil {
				connected = append(connected, seated{room: len(infos), peer: i, conn: c})
			}
		}
		infos = append(infos, info)
	}
	return infos, connected
}

// tellLocked fills in what the hub knows of a peer, and returns its connection.
func (h *hub) tellLocked(m *member, info *PeerInfo) *conn {
	*info = PeerInfo{ID: m.id, Name: m.name, JoinedAt: m.joined, Away: m.away}
	s := h.seats[m.seat]
	if s == nil {
		return nil // Left while the server stops.
	}
	info.Report, info.ReportedAt = s.report, s.reportedAt
	return s.conn
}
