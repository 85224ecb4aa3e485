package link_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"golang.org/x/sys/unix"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, "listen", err)
	return conn
}

// silentPeers are sockets that never answer; the kernel stamps what comes.
type silentPeers struct {
	conns   []*net.UDPConn
	reading sync.WaitGroup
	// stamps receives the kernel's instant of each Binding request.
	stamps chan time.Time
}

func openSilent(t *testing.T, n int) *silentPeers {
	t.Helper()
	s := &silentPeers{stamps: make(chan time.Time, 10000)}
	for range n {
		conn := listenStamped(t)
		s.conns = append(s.conns, conn)
		s.reading.Go(func() { s.read(conn) })
	}
	return s
}

func (s *silentPeers) read(conn *net.UDPConn) {
	packet, control := make([]byte, 1500), make([]byte, 128)
	for {
		n, oobn, _, _, err := conn.ReadMsgUDPAddrPort(packet, control)
		if err != nil {
			return
		}
		if stamp, ok := stampOf(control[:oobn]); ok && consent.KindOf(packet[:n]) == consent.Request {
			s.stamps <- stamp
		}
	}
}

func stampOf(control []byte) (time.Time, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return time.Time{}, false
	}
	d := messages[0].Data
	return time.Unix(int64(binary.NativeEndian.Uint64(d)), int64(binary.NativeEndian.Uint64(d[8:]))), true
}

func (s *silentPeers) close() {
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.reading.Wait()
}

// gaps starts the agent's checks to all silent peers and returns the sorted distances of n arrivals.
func (s *silentPeers) gaps(t *testing.T, a *ice.Agent, n int) []time.Duration {
	t.Helper()
	check(t, "hear of candidates", a.OnCandidate(func(ice.Candidate) {}))
	check(t, "gather", a.GatherCandidates())
	for _, conn := range s.conns {
		text := fmt.Sprintf("1 1 udp 2130706431 127.0.0.1 %d typ host", conn.LocalAddr().(*net.UDPAddr).Port)
		candidate, err := ice.UnmarshalCandidate(text)
		check(t, "read a candidate", err)
		check(t, "add a candidate", a.AddRemoteCandidate(candidate))
	}
	_, err := a.StartDial("theirs", "the password of nobody at all")
	check(t, "start the checks", err)
	var stamps []time.Time
	for len(stamps) < n {
		stamps = append(stamps, <-s.stamps)
	}
	check(t, "close the agent", a.GracefulClose())
	s.close()
	slices.SortFunc(stamps, time.Time.Compare)
	gaps := make([]time.Duration, n-1)
	for i := range gaps {
		gaps[i] = stamps[i+1].Sub(stamps[i])
	}
	slices.Sort(gaps)
	return gaps
}

// TestPacedOnTheWire compares the arrivals of our agent's checks with those of plain pion's, as the kernel stamps them.
func TestPacedOnTheWire(t *testing.T) {
	const peers, checks = 8, 24
	socket, err := link.Open(link.Config{Conn: link.UDP(listenUDP(t)), Clock: timing.Runtime{}, Admit: link.Admit(loopback)})
	check(t, "open the socket", err)
	path, err := socket.NewPath(nil)
	check(t, "make a path", err)
	paced := openSilent(t, peers).gaps(t, newAgent(t, path.Mux(), 0), checks)
	counts := socket.Counts()
	path.Close()
	check(t, "close the socket", socket.Close())

	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: listenUDP(t)})
	a, err := ice.NewAgentWithOptions(ice.WithUDPMux(mux), ice.WithIncludeLoopback(),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}))
	check(t, "make an agent", err)
	plain := openSilent(t, peers).gaps(t, a, checks)
	check(t, "close pion's mux", mux.Close())

	middle, quarter := (checks-1)/2, (checks-1)/4
	t.Logf("between two checks: half of ours are %v apart or more, a quarter of plain pion's %v or less; %+v", paced[middle], plain[quarter], counts.Pacing)
	// A busy machine draws both apart, pion's bursts too: their shorter distances still tell.
	if paced[middle] < pacing.DefaultTa/2 || plain[quarter] > pacing.DefaultTa/10 || counts.Pacing.Sent < checks {
		t.Errorf("median %v of ours, quarter %v of plain pion's, %+v", paced[middle], plain[quarter], counts.Pacing)
	}
}

// soonest is secret but for the intervals, which are the shortest.
type soonest struct{ n byte }

func (*soonest) Uniform() float64 { return 0 }
func (s *soonest) Transaction() (id consent.TransactionID) {
	s.n++
	id[0], id[11] = 0x77, s.n
	return id
}

// TestConsentByTheKernel has a real socket answer a check that the wire tier sent.
func TestConsentByTheKernel(t *testing.T) {
	wire := timing.NewWire(timing.Runtime{}, timing.WireConfig{})
	socket, err := link.Open(link.Config{
		Conn: link.UDP(listenUDP(t)), Clock: timing.Runtime{}, Wire: wire, Admit: link.Admit(loopback), Random: &soonest{},
	})
	check(t, "open the socket", err)
	path, err := socket.NewPath(nil)
	check(t, "make a path", err)
	peer := listenUDP(t)
	began := timing.Runtime{}.Now()
	path.Select(peer.LocalAddr().(*net.UDPAddr).AddrPort(), credentials)
	for answered := 0; path.Status().Quality.Answers == 0; { // An answer to a check that has timed out meanwhile does not count.
		if path.Status().Quality.Checks > answered {
			answerOne(t, peer)
			answered++
		}
		select {
		case <-t.Context().Done():
			t.Fatal("no answer counted")
		default:
		}
		pass(time.Millisecond)
	}
	s := path.Status()
	t.Logf("%s (%s): round trip %v", wire.Report().Mode, wire.Report().Reason, s.Quality.RTT.Smoothed)
	most := uint64(timing.Runtime{}.Now().Sub(began) / consent.MinInterval) // One, unless the machine stood still.
	if s.Renewed.Sub(began) < consent.MinInterval || uint64(s.Quality.Checks) < 1 || uint64(s.Quality.Checks) > most {
		t.Errorf("renewed after %v: %+v", s.Renewed.Sub(began), s)
	}
	path.Close()
	check(t, "close the socket", socket.Close())
	check(t, "close the wire", wire.Close())
	check(t, "close the peer", peer.Close())
}
