package link_test

import (
	"crypto/rand"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
)

// regular is as secret as can be wished, but for the intervals, which are all the shortest.
type regular struct{}

func (regular) Uniform() float64 { return 0 }
func (regular) Transaction() (id consent.TransactionID) {
	_, _ = rand.Read(id[:]) // It does not fail.
	return id
}

// arm is a socket whose checks are sent in one way, each to a silent peer of its own, and when each was due and came.
type arm struct {
	wire   *timing.Wire
	socket *link.Socket
	paths  []*link.Path
	peers  []*net.UDPConn
	due    []timing.Instant
	late   []time.Duration
}

func newArm(t *testing.T, mode timing.WireMode) *arm {
	t.Helper()
	a := &arm{wire: timing.NewWire(timing.Runtime{}, timing.WireConfig{Mode: mode})}
	var err error
	a.socket, err = link.Open(link.Config{
		Conn: link.UDP(listenUDP(t)), Clock: timing.Runtime{}, Wire: a.wire, Admit: link.Admit(loopback), Random: regular{},
	})
	check(t, "open the socket", err)
	return a
}

// begin selects a pair to one more peer, whose first check is due one interval later.
func (a *arm) begin(t *testing.T) {
	t.Helper()
	peer := listenStamped(t)
	path, err := a.socket.NewPath(nil)
	check(t, "make a path", err)
	a.paths, a.peers = append(a.paths, path), append(a.peers, peer)
	a.due = append(a.due, timing.Runtime{}.Now().Add(consent.MinInterval))
	path.Select(peer.LocalAddr().(*net.UDPAddr).AddrPort(), credentials)
}

// collect reads the first check of each peer: how late it came is by the kernel's stamp.
func (a *arm) collect(t *testing.T) {
	t.Helper()
	packet, control := make([]byte, 1500), make([]byte, 128)
	for i, peer := range a.peers {
		n, oobn, _, _, err := peer.ReadMsgUDPAddrPort(packet, control)
		check(t, "read a check", err)
		stamp, ok := stampOf(control[:oobn])
		if !ok || consent.KindOf(packet[:n]) != consent.Request {
			t.Fatalf("%x is no stamped check", packet[:n])
		}
		due := time.Now().Add(a.due[i].Sub(timing.Runtime{}.Now()))
		a.late = append(a.late, stamp.Sub(due))
	}
	slices.Sort(a.late)
}

func (a *arm) close(t *testing.T) {
	t.Helper()
	for i := range a.paths {
		a.paths[i].Close()
		check(t, "close a peer", a.peers[i].Close())
	}
	check(t, "close the socket", a.socket.Close())
	check(t, "close the wire", a.wire.Close())
}

// TestConsentOnTime has checks be sent in turn by the wire tier and by package time's timers, and compares how late they
// reach the network. A clock that is being corrected shifts both alike.
func TestConsentOnTime(t *testing.T) {
	const each, apart = 40, 37 * time.Millisecond
	tier, plain := newArm(t, timing.WireAuto), newArm(t, timing.WireClock)
	for range each {
		for _, a := range []*arm{tier, plain} {
			a.begin(t)
			pass(apart)
		}
	}
	for _, a := range []*arm{tier, plain} {
		a.collect(t)
		a.close(t)
	}
	middle, most := each/2, each*9/10
	t.Logf("late by the wire (%s, %s): median %v, 90th percentile %v; by package time: median %v, 90th percentile %v",
		tier.wire.Report().Mode, tier.wire.Report().Policy, tier.late[middle], tier.late[most], plain.late[middle], plain.late[most])
	if tier.wire.Report().Kernel && tier.late[middle] >= plain.late[middle] {
		t.Errorf("half of the wire's are %v late or more, half of package time's %v", tier.late[middle], plain.late[middle])
	}
}

// listenStamped is a socket whose packets the kernel stamps as they come.
func listenStamped(t *testing.T) *net.UDPConn {
	t.Helper()
	conn := listenUDP(t)
	raw, err := conn.SyscallConn()
	check(t, "reach the socket", err)
	var refused error
	check(t, "reach the socket", raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}))
	check(t, "have packets stamped", refused)
	return conn
}
