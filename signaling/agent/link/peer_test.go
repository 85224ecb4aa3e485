package link_test

import (
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/signaling/agent/consent"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

var credentials = consent.Credentials{LocalUfrag: "ours", RemoteUfrag: "theirs", RemotePassword: "a password of the peer"}

func pass(d time.Duration) { timingtest.Real(timing.Runtime{}).Pass(d) }

// answerOne answers one check twice: the first time signed with a wrong password, which must not count.
func answerOne(t *testing.T, peer *net.UDPConn) {
	t.Helper()
	packet := make([]byte, 1500)
	n, from, err := peer.ReadFromUDPAddrPort(packet)
	check(t, "read a check", err)
	if consent.KindOf(packet[:n]) != consent.Request {
		t.Fatalf("%x is no check", packet[:n])
	}
	for _, password := range []string{"a guess", credentials.RemotePassword} {
		m, err := stun.Build(stun.BindingSuccess, stun.NewTransactionIDSetter(consent.TransactionOf(packet)),
			stun.NewShortTermIntegrity(password), stun.Fingerprint)
		check(t, "build an answer", err)
		_, err = peer.WriteToUDPAddrPort(m.Raw, from)
		check(t, "answer", err)
	}
}
