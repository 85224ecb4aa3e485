package turn_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tourbillon/turn"
)

// TestOneNameOneURL listens at both wildcards: a client that is given a name gets each URL once, and without a name the
// relay address of either family.
func TestOneNameOneURL(t *testing.T) {
	first := listen(t, turn.Config{UDP: []string{"0.0.0.0:0"}})
	port := addressOf(t, first, turn.UDP).Port()
	closeServer(t, first)
	server := listen(t, turn.Config{
		UDP: []string{fmt.Sprintf("0.0.0.0:%d", port), fmt.Sprintf("[::]:%d", port)}, RelayAddress6: netip.MustParseAddr("::1"),
	})
	for host, names := range map[string][]string{"turn.example.com": {"turn.example.com"}, "": {"127.0.0.1", "[::1]"}} {
		var want []string
		for _, name := range names {
			want = append(want, fmt.Sprintf("stun:%s:%d", name, port), fmt.Sprintf("turn:%s:%d?transport=udp", name, port))
		}
		if urls, _, _, _ := server.ICEServers("alice", time.Now(), host); !slices.Equal(urls, want) {
			t.Errorf("host %q: %q, want %q", host, urls, want)
		}
	}
}
