package survey

import (
	"fmt"
	"strings"

	"tourbillon/timing/inventory"
	"tourbillon/timing/retime/carry"
	"tourbillon/timing/stdtime"
)

// judged is the review of one place whose timers run on no injected clock.
type judged struct {
	// at is a function's name as the runtime gives it; with "..." at its end all that begin so.
	at string
	// call is what it calls, "" for all.
	call   string
	reason string
}

const (
	clockItself = "the clock itself: the package-time arm, and the wakers and backstops of the engine"
	benchmark   = "benchmark: what the injected clock is compared with, or what ends a process that hangs"
	closedConn  = "set on a connection that was closed just before: has no effect"
	ofCaller    = "the application's own deadline, handed on to the socket"
	noACME      = "certificates by ACME, which keep no protocol's schedule; linked by echo"
	noHTTP2     = "HTTP/2 without TLS, linked by echo; the listeners speak HTTP/1.1"
)

// review is every place outside the injected clock, judged. A re-timed module's places are judged one by one, and are
// deadlines of sockets: package time's and context's timers have no excuse there.
var review = []judged{
	{carry.Prefix + "ice/v4/internal/stun.(*XORMappedAddrTransaction).RunPacketConn", "net.PacketConn.SetDeadline",
		"protocol deadline past the clock: the end of a gathering request (gather time-out, 5 s); its retransmits are on the clock"},
	{carry.Prefix + "ice/v4.(*TCPMuxDefault).handleConn", "net.Conn.SetReadDeadline",
		"protocol deadline past the clock: the first STUN message of an ICE-TCP connection; the program opens no TCP mux"},
	{carry.Prefix + "ice/v4.(*tcpPacketConn).Close", "net.Conn.SetWriteDeadline", closedConn},
	{carry.Prefix + "ice/v4.(*tcpPacketConn).Close", "net.Conn.SetReadDeadline", closedConn},
	{carry.Prefix + "ice/v4.(*tcpPacketConn).removeConn", "net.Conn.SetWriteDeadline", closedConn},
	{carry.Prefix + "ice/v4.(*tcpPacketConn).removeConn", "net.Conn.SetReadDeadline", closedConn},
	{carry.Prefix + "ice/v4.(*candidateBase).setWriteDeadline", "net.PacketConn.SetWriteDeadline", ofCaller},
	{carry.Prefix + "sctp.(*Association).Abort", "net.Conn.SetWriteDeadline",
		"bounds the sending of an ABORT at 200 ms, beside a timer on the clock that does the same"},
	{carry.Prefix + "srtp/v3.(*SessionSRTCP).setWriteDeadline", "net.Conn.SetWriteDeadline", ofCaller},
	{carry.Prefix + "srtp/v3.(*SessionSRTP).setWriteDeadline", "net.Conn.SetWriteDeadline", ofCaller},
	{carry.Prefix + "srtp/v3.(*session).start", "net.Conn.SetReadDeadline", "the application's time-out for accepting streams, none by default"},

	{"github.com/lxzan/gws.(*responseWriter).Write", "net.Conn.SetDeadline", "bounds the answer to a WebSocket upgrade; pings are ours, on the clock"},
	{"github.com/lxzan/gws.(*connector).request", "", "WebSocket clients, which the program is not"},
	{"github.com/lxzan/gws.initClientOption", "net.Dialer.Timeout", "WebSocket clients, which the program is not"},
	{"github.com/prometheus/client_golang/prometheus.newHistogram", "time.AfterFunc", "resets native histograms with a time limit, which the program does not make"},
	{"github.com/prometheus/client_golang/prometheus/promhttp.HandlerForTransactional", "http.TimeoutHandler", "bounds the answering of a scrape, none by default"},
	{"golang.org/x/crypto/acme...", "", noACME},
	{"golang.org/x/net/http2...", "", noHTTP2},
	{"golang.org/x/net/internal/socks...", "net.Conn.SetDeadline", "dialling through SOCKS proxies, which the program does not set"},
	{"golang.org/x/sys/unix...", "", "wraps a system call for its callers, which are places of their own"},
	{"golang.org/x/time/rate...", "time.NewTimer", "token bucket of pion's virtual test network, which the program does not make"},

	{"tourbillon/timing...", "", clockItself},
	{"tourbillon/appliance/bench...", "", benchmark},
	{"tourbillon/signaling/agent/bench...", "", benchmark},
	{"tourbillon/signaling/bench...", "", benchmark},
	{"tourbillon/turn/bench...", "", benchmark},
	{"tourbillon/turn/probe/bench...", "", benchmark},
	{"tourbillon/appliance.(*appliance).close", "context.WithTimeout", "bounds the stop, during which the clock itself closes"},
	{"tourbillon/appliance.(*appliance).beat", "context.WithTimeout", "bounds a self-check, which has to end also when the clock does not run"},
	{"tourbillon/appliance.listenHTTP", "http.Server.ReadHeaderTimeout", "sheds silent HTTP clients in net/http, which knows no clock"},
	{"tourbillon/appliance.listenHTTP", "http.Server.IdleTimeout", "sheds silent HTTP clients in net/http, which knows no clock"},
	{"tourbillon/turn/relay.(*up).setDeadline", "os.File.SetReadDeadline", "wakes a read that waits, by a deadline in the past, when the server stops"},
	{"tourbillon/web.writeEvent", "http.ResponseController.SetWriteDeadline", "sheds an admin page that does not read"},
}

// standardReason is the reason for all timers inside the standard library.
const standardReason = "the standard library's own: HTTP, TLS, name look-ups and processes, which know no clock and keep no schedule of a real-time protocol. " +
	"What makes it arm a timer (a time-out in a struct, a socket's deadline) is listed where it is set."

func (j judged) covers(s site) bool {
	prefix, whole := strings.CutSuffix(j.at, "...")
	return (s.function == j.at || whole && strings.HasPrefix(s.function, prefix)) && (j.call == "" || j.call == s.call)
}

func reasonFor(s site) string {
	for _, j := range review {
		if j.covers(s) {
			return j.reason
		}
	}
	return fmt.Sprintf("%s: no entry in timing/inventory/survey/review.go for %s calling %s", inventory.NotReviewed, s.function, s.call)
}

// own says, for the rooms of the house, what label the clock records under that a function was given. The longest match
// counts. Package appliance hands the clocks out.
var own = []struct {
	at, label string
	tier      stdtime.Tier
}{
	{"tourbillon/appliance", "not metered", stdtime.Precise},
	{"tourbillon/appliance.(*appliance).openWatchdog", "systemd.watchdog", stdtime.Precise},
	{"tourbillon/signaling", "signaling", stdtime.Precise},
	{"tourbillon/signaling.(*conn).joined", "signaling.heartbeat", stdtime.Precise},
	{"tourbillon/signaling.(*conn).planRefreshLocked", "signaling.slack", stdtime.Coarse},
	{"tourbillon/signaling/agent", "agent.selfcall", stdtime.Precise},
	{"tourbillon/turn", "turn.server", stdtime.Precise},
}

// ownTimer is the label and tier of a timer that our own code arms on the clock that it was given.
func ownTimer(s site) (label, tier string) {
	longest := 0
	label, tier = "not metered", string(stdtime.Precise)
	for _, o := range own {
		if strings.HasPrefix(s.function, o.at) && len(o.at) > longest {
			longest, label, tier = len(o.at), o.label, string(o.tier)
		}
	}
	return label, tier
}

// Problems says what an inventory must not have: a re-timed module that still reaches package time's or context's
// timers, and places past the injected clock that nobody has judged.
func Problems(listing inventory.Inventory) (problems []error) {
	for _, u := range listing.Uncarried {
		place := fmt.Sprintf("%s/%s:%d: %s", u.Module, u.File, u.Line, u.Call)
		switch {
		case strings.HasPrefix(u.Module, carry.Prefix) && (strings.HasPrefix(u.Call, "time.") || strings.HasPrefix(u.Call, "context.") || strings.HasPrefix(u.Call, "//go:linkname")):
			problems = append(problems, fmt.Errorf("%s: a re-timed module still arms a timer of the Go runtime", place))
		case strings.HasPrefix(u.Reason, inventory.NotReviewed):
			problems = append(problems, fmt.Errorf("%s: %s", place, u.Reason))
		}
	}
	return problems
}
