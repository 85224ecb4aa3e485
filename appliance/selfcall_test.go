package appliance_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/signaling/agent"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// TestSelfCall places the appliance's call to itself through a real relay, and takes the relay away.
func TestSelfCall(t *testing.T) {
	defer goleak.VerifyNone(t)
	relay, err := turn.Listen(turn.Config{UDP: []string{"127.0.0.1:0"}, Secrets: [][]byte{[]byte("secret")}})
	if err != nil {
		t.Fatal(err)
	}
	call := agent.NewSelfCall(agent.Config{
		Clock: timing.Runtime{},
		Relay: func() agent.Relay {
			urls, username, credential, _ := relay.ICEServers("self-call", time.Now(), "")
			for _, url := range urls {
				if strings.HasPrefix(url, "turn:") {
					return agent.Relay{URL: url, Username: username, Credential: credential}
				}
			}
			return agent.Relay{}
		},
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { call.Run(ctx) })

	awaitStatus(t, call, "connected")
	if got := len(relay.Allocations()); got != 2 {
		t.Errorf("%d allocations, want one for each side", got)
	}
	if rtt := call.Status().RTT; rtt.Samples == 0 || rtt.Smoothed <= 0 {
		t.Errorf("round trip %+v, want a measured one", rtt)
	}
	if err := relay.Close(t.Context()); err != nil {
		t.Error(err)
	}
	awaitStatus(t, call, "failed")
	if call.Status().Reason == "" {
		t.Error("a failed call without a reason")
	}
	cancel()
	running.Wait()
}

func awaitStatus(t *testing.T, call *agent.SelfCall, want string) {
	t.Helper()
	clock := timingtest.Real(timing.Runtime{})
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); {
		if call.Status().State == want {
			return
		}
		clock.Pass(10 * time.Millisecond)
	}
	t.Fatalf("the call is %+v, want %s", call.Status(), want)
}
