package appliance

import (
	"context"
	"time"

	"tourbillon/signaling"
	"tourbillon/timing"
	"tourbillon/turn"
	"tourbillon/web"
)

// samplePeriod is the time between two points of the lateness chart.
const samplePeriod = 500 * time.Millisecond

// sampler publishes the lateness of the reference timers to the admin pages twice a second, and gathers the state of the
// whole when somebody looks: with thousands of peers that is work.
type sampler struct {
	a         *appliance
	reference *timing.Reference
	periodic  *timing.Periodic
	usage     *usage
}

func (a *appliance) openSampler() error {
	s := &sampler{a: a, reference: timing.NewReference(a.clock, timing.Runtime{}), usage: newUsage(turnLimitsOf(a.config))}
	s.periodic = timing.Every(a.clock, a.clock.Now().Add(samplePeriod), samplePeriod, s.publish)
	a.sampler = s
	a.onClose(func(context.Context) error {
		s.periodic.StopAndWait()
		s.reference.Stop()
		return nil
	})
	return nil
}

func (s *sampler) publish(timing.Tick) {
	injected, control := s.reference.Take()
	sample := web.Sample{AtMS: time.Now().UnixMilli(), Injected: lateness(injected), Control: lateness(control)}
	s.a.admin.Publish(sample, s.state)
}

func (s *sampler) state(sample web.Sample) web.State {
	self, live := s.a.selfCall.Status(), s.a.turn.Allocations()
	return web.State{
		Sample:      sample,
		Labels:      labels(s.a.meter.Labels()),
		Rooms:       rooms(s.a.signaling.Rooms()),
		Allocations: allocations(live),
		Limits:      s.usage.describe(s.a.turn.Stats(), live, s.a.clock.Now()),
		SelfCall:    web.SelfCall{Status: self.State, Reason: self.Reason, RTTUS: micros(self.RTT.Smoothed)},
		Outside:     s.a.outside(),
	}
}

// outside is nil where no STUN server is asked.
func (a *appliance) outside() *web.Outside {
	if len(a.config.TURN.STUNServers) == 0 {
		return nil
	}
	found, known := a.turn.External()
	shown := &web.Outside{Server: found.Server, Hairpin: found.Hairpin}
	if known {
		shown.Address, shown.CheckedMS = found.Address.String(), found.Checked.UnixMilli()
	}
	if found.Err != nil {
		shown.Problem = found.Err.Error()
	}
	return shown
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func lateness(s timing.Summary) web.Lateness {
	return web.Lateness{Fires: s.Fires, P50US: micros(s.P50), P99US: micros(s.P99), MaxUS: micros(s.Max)}
}

func labels(summaries []timing.LabelSummary) []web.Label {
	shown := make([]web.Label, len(summaries))
	for i, l := range summaries {
		shown[i] = web.Label{Label: l.Name, Lateness: lateness(l.Recent), Total: l.Total, Early: l.Early}
	}
	return shown
}

func rooms(infos []signaling.RoomInfo) []web.Room {
	shown := make([]web.Room, len(infos))
	for i, r := range infos {
		shown[i] = web.Room{Room: r.Name, Peers: make([]web.Peer, len(r.Peers))}
		for j, p := range r.Peers {
			shown[i].Peers[j] = peer(p)
		}
	}
	return shown
}

func peer(p signaling.PeerInfo) web.Peer {
	shown := web.Peer{
		ID: p.ID, Name: p.Name, Address: p.Address, SinceMS: p.JoinedAt.UnixMilli(), Away: p.Away,
		HeartbeatMS: micros(p.Heartbeat) / 1000,
		RTTUS:       micros(p.RTT), RTTVarUS: micros(p.RTTVar), JitterUS: micros(p.Jitter),
		Report: p.Report,
	}
	if p.Report != nil {
		shown.ReportedMS = p.ReportedAt.UnixMilli()
	}
	return shown
}

func allocations(live []turn.Allocation) []web.Allocation {
	shown := make([]web.Allocation, len(live))
	for i, l := range live {
		shown[i] = web.Allocation{
			Client: l.Client.String(), Relay: l.Relay.String(), Transport: string(l.Transport), User: l.User,
			SinceMS: l.Since.UnixMilli(), Channels: l.Channels,
			ToPeers: traffic(l.ToPeers), FromPeers: traffic(l.FromPeers), Denied: int64(l.Refused()),
		}
	}
	return shown
}

func traffic(t turn.Traffic) web.Traffic {
	return web.Traffic{Packets: int64(t.Packets), Bytes: int64(t.Bytes)}
}
