package appliance

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"

	"tourbillon/appliance/config"
	"tourbillon/signaling/agent"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// relaying is as much of an appliance as relays and, when it is told to, calls itself through its relay, which has room for
// that alone.
func relaying(t *testing.T) (a *appliance, call func()) {
	t.Helper()
	a = &appliance{config: config.Default(), log: slog.New(slog.DiscardHandler), clock: Clock{Clock: timing.Runtime{}}}
	var err error
	a.turn, err = turn.Listen(turn.Config{
		UDP: []string{"127.0.0.1:0"}, Secrets: [][]byte{[]byte("secret")}, Limits: turn.Limits{Allocations: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.selfCall = agent.NewSelfCall(agent.Config{Clock: a.clock, Relay: a.selfRelay, Log: a.log})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := a.turn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a, func() { running.Go(func() { a.selfCall.Run(ctx) }) }
}

// awaitHealth asks /readyz until it answers a code with a text in it.
func (a *appliance) awaitHealth(t *testing.T, code int, text string) {
	t.Helper()
	clock := timingtest.Real(timing.Runtime{})
	var last *httptest.ResponseRecorder
	for range 6000 {
		last = httptest.NewRecorder()
		a.serveReady(last, httptest.NewRequest("GET", "/readyz", nil))
		var said health
		if err := json.Unmarshal(last.Body.Bytes(), &said); err != nil || said.Ready != (last.Code == 200) {
			t.Fatalf("%d %s: %v", last.Code, last.Body, err)
		}
		if last.Code == code && strings.Contains(last.Body.String(), text) {
			return
		}
		clock.Pass(10 * time.Millisecond)
	}
	t.Fatalf("%d %s; want %d with %q", last.Code, last.Body, code, text)
}

// stranger takes an allocation, and gives it back when it is told to.
func (a *appliance) stranger(t *testing.T) (leave func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := a.turn.Addresses()[0].Addr.String()
	_, user, password, _ := a.turn.ICEServers("stranger", time.Now(), "")
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	client, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: user, Password: password, LoggerFactory: logs,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := client.Allocate()
	if err != nil {
		t.Fatalf("a stranger's allocation: %v", err)
	}
	return func() {
		_ = relay.Close()
		client.Close()
		_ = conn.Close()
	}
}

// TestReadyFollowsTheRelay takes the relay away from under the call to ourselves: its allocations end, and new ones are
// refused. We are not ready then, say why, and are ready again when the relay relays again.
func TestReadyFollowsTheRelay(t *testing.T) {
	a, call := relaying(t)
	a.awaitHealth(t, 503, "the call to ourselves through our relay is starting")
	call()
	a.awaitHealth(t, 200, `"problems":[]`)
	if ended := a.turn.Kick(selfCallUser); ended != 2 {
		t.Fatalf("%d allocations ended, want both sides of the call", ended)
	}
	leave := []func(){a.stranger(t), a.stranger(t)}
	a.awaitHealth(t, 503, "the call to ourselves through our relay is failed")
	for _, each := range leave {
		each()
	}
	a.awaitHealth(t, 200, `"problems":[]`)
}

// TestOutsideIsShown shows what is known of the outside address, before and after a STUN server told it.
func TestOutsideIsShown(t *testing.T) {
	other, err := turn.Listen(turn.Config{UDP: []string{"127.0.0.1:0"}, Secrets: [][]byte{[]byte("secret")}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	a := &appliance{config: config.Default()}
	if a.outside() != nil {
		t.Error("an outside address although nobody is asked")
	}
	a.config.TURN.STUNServers = []string{other.Addresses()[0].Addr.String()}
	a.turn, err = turn.Listen(turn.Config{
		UDP: []string{"127.0.0.1:0"}, Secrets: [][]byte{[]byte("secret")}, STUNServers: a.config.TURN.STUNServers,
		RelayAddress: netip.MustParseAddr("127.0.0.1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.turn.Close(context.Background())
	clock := timingtest.Real(timing.Runtime{})
	for range 2000 {
		if a.outside().Address != "" {
			break
		}
		clock.Pass(10 * time.Millisecond)
	}
	got := a.outside()
	if got.Address != "127.0.0.1" || !got.Hairpin || got.Problem != "" || got.CheckedMS == 0 || got.Server != a.config.TURN.STUNServers[0] {
		t.Errorf("%+v", got)
	}
}
