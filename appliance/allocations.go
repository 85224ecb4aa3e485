package appliance

import (
	"encoding/json"
	"net/http"

	"tourbillon/turn"
)

// shownAllocation is one live allocation at GET /api/allocations, with all that the relay knows of it. User is the
// client's own text and is to be shown as text only. Times are milliseconds since 1970.
type shownAllocation struct {
	User        string            `json:"user"`
	Transport   string            `json:"transport"`
	Client      string            `json:"client"`
	Server      string            `json:"server"`
	Relay       string            `json:"relay"`
	SinceMS     int64             `json:"since_ms"`
	ExpiresMS   int64             `json:"expires_ms"`
	Peers       []shownPeer       `json:"peers"`
	Channels    []shownChannel    `json:"channels"`
	ToPeers     shownTraffic      `json:"to_peers"`
	FromPeers   shownTraffic      `json:"from_peers"`
	Dropped     uint64            `json:"dropped"`
	DropReasons map[string]uint64 `json:"drop_reasons"`
}

// shownPeer is an address with a permission.
type shownPeer struct {
	Address   string `json:"address"`
	ExpiresMS int64  `json:"expires_ms"`
}

// shownChannel is a channel with its peer.
type shownChannel struct {
	Number    uint16 `json:"number"`
	Peer      string `json:"peer"`
	ExpiresMS int64  `json:"expires_ms"`
}

// shownTraffic is relayed packets and their payload bytes.
type shownTraffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// serveAllocations lists the live allocations, oldest first.
func (a *appliance) serveAllocations(w http.ResponseWriter, _ *http.Request) {
	shown := []shownAllocation{}
	for _, live := range a.turn.Allocations() {
		shown = append(shown, showAllocation(live))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(shown) // The reader went away: nobody to tell.
}

func showAllocation(live turn.Allocation) shownAllocation {
	s := shownAllocation{
		User: live.User, Transport: string(live.Transport),
		Client: live.Client.String(), Server: live.Server.String(), Relay: live.Relay.String(),
		SinceMS: live.Since.UnixMilli(), ExpiresMS: live.Expires.UnixMilli(),
		Peers: []shownPeer{}, Channels: []shownChannel{},
		ToPeers: shownTraffic(live.ToPeers), FromPeers: shownTraffic(live.FromPeers),
		Dropped: live.Denied, DropReasons: live.Drops,
	}
	for _, p := range live.Peers {
		s.Peers = append(s.Peers, shownPeer{Address: p.Addr.String(), ExpiresMS: p.Expires.UnixMilli()})
	}
	for _, c := range live.Bindings {
		s.Channels = append(s.Channels, shownChannel{Number: c.Number, Peer: c.Peer.String(), ExpiresMS: c.Expires.UnixMilli()})
	}
	return s
}
