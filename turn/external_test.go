package turn_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// TestExternalAddress finds the outside address by another server of ours, announces it, and keeps it when that server
// is gone.
func TestExternalAddress(t *testing.T) {
	other := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, WithoutLoops: true})
	clock := timingtest.NewManual()
	inside, outside := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("127.0.0.1")
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, RelayAddress: inside, RelayBind: outside, Clock: clock,
		STUNServers: []string{addressOf(t, other, turn.UDP).String()},
	})
	found := awaitExternal(t, server)
	asked := addressOf(t, other, turn.UDP).String()
	if found.Address != outside || !found.Hairpin || found.Err != nil || found.Server != asked {
		t.Errorf("found %+v", found)
	}
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	c.expectSigned("allocate", c.allocate(), 0)
	if relay := server.Allocations()[0].Relay; relay.Addr() != outside {
		t.Errorf("announced %v", relay)
	}
	closeServer(t, other)
	eventually(t, "the loss is told", func() bool {
		clock.AdvanceNext()
		found, _ = server.External()
		return found.Err != nil
	})
	if !errors.Is(found.Err, turn.ErrNoExternal) || found.Address != outside {
		t.Errorf("after the loss %+v", found)
	}
}

func awaitExternal(t *testing.T, server *turn.Server) (found turn.External) {
	t.Helper()
	eventually(t, "the outside address is told", func() (ok bool) {
		found, ok = server.External()
		return ok
	})
	return found
}

// TestSilentSTUNServer has the second server asked when the first has had its time.
func TestSilentSTUNServer(t *testing.T) {
	other := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	clock := timingtest.NewManual()
	advancing(t, clock)
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, Clock: clock, STUNServers: []string{"127.0.0.1:1", addressOf(t, other, turn.UDP).String()},
	})
	if found := awaitExternal(t, server); found.Server != addressOf(t, other, turn.UDP).String() {
		t.Errorf("found %+v", found)
	}
}

// advancing steps a manual clock to each deadline as it is armed, until the test ends.
func advancing(t *testing.T, clock *timingtest.Manual) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				clock.AdvanceNext()
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}
