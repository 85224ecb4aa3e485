//go:build interop && linux

package survive_test

import (
	"testing"
	"time"

	"tourbillon/appliance/netlab"
)

// lossTime is how long total loss lasts, in real time.
const lossTime = 10 * time.Second

// TestAddressChange moves the polite side to another address, as a laptop that is carried elsewhere: it loses the server
// and the call, comes back to the server from there, and has the other side restart.
func TestAddressChange(t *testing.T) {
	w := newWorld(t)
	w.call(callerConfig{})
	w.net.Move("bob", bobMoved)
	w.flows()
	w.restarted()
	w.neverBoth()
}

// TestNATRebinding has the impolite side's address translator forget its mappings: what the other sends goes to a port
// that is nobody's any more, and what comes is from one that it does not know.
func TestNATRebinding(t *testing.T) {
	w := newWorld(t)
	w.net.Masquerade(adaAddress, netlab.RandomPorts)
	w.call(callerConfig{})
	w.net.Forget()
	w.flows()
	w.restarted()
	w.neverBoth()
}

// TestRelayRestart kills the server in a call through its relay and starts it again: the clients come back by themselves
// with the same ids, tell it that the path is dead, and the one that is the impolite side now restarts with a credential
// of the new server's.
func TestRelayRestart(t *testing.T) {
	w := newWorld(t)
	w.call(callerConfig{Relay: true})
	w.server.kill()
	w.serve()
	w.flows()
	w.restarted()
	w.neverBoth()
}

// TestTenSecondsOfTotalLoss has nothing pass between any two hosts: both clients lose each other and the server. The call
// is back when the network is.
func TestTenSecondsOfTotalLoss(t *testing.T) {
	w := newWorld(t)
	w.call(callerConfig{})
	w.loses(lossTime)
	w.flows()
	w.neverBoth()
	for _, line := range w.path().Timeline {
		if line.State == "failed" {
			t.Errorf("the call was given up: %+v", line)
		}
	}
}
