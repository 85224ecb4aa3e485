package signaling

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"tourbillon/timing"
)

func TestOrigins(t *testing.T) {
	allowed := []string{"https://app.example", "https://other.example:8443/"}
	for name, test := range map[string]struct {
		host    string
		origins []string
		want    bool
	}{
		"no browser":        {"tb.example", nil, true},
		"same host":         {"tb.example:8080", []string{"http://tb.example:8080"}, true},
		"case":              {"tb.example", []string{"https://TB.example"}, true},
		"allowed":           {"tb.example", []string{"https://app.example"}, true},
		"allowed with port": {"tb.example", []string{"https://other.example:8443"}, true},
		"other host":        {"tb.example", []string{"https://evil.example"}, false},
		"other port":        {"tb.example:8080", []string{"http://tb.example:8081"}, false},
		"other scheme":      {"tb.example", []string{"http://app.example"}, false},
		"suffix":            {"tb.example", []string{"https://eviltb.example"}, false},
		"prefix":            {"tb.example", []string{"https://tb.example.evil"}, false},
		"null":              {"tb.example", []string{"null"}, false},
		"empty":             {"", []string{""}, false},
		"two":               {"tb.example", []string{"https://tb.example", "https://evil.example"}, false},
	} {
		r := &http.Request{Host: test.host, Header: http.Header{"Origin": test.origins}}
		if got := originAllowed(r, allowed); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestLoopbackHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LocalHost.": true, "app.localhost:1": true,
		"127.0.0.1:8080": true, "127.1.2.3": true, "[::1]:8080": true, "[::1]": true, "::1": true,
		"": false, "evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"10.0.0.1": false, "[::2]:1": false, "0.0.0.0": false,
	} {
		if got := loopbackHost(host); got != want {
			t.Errorf("loopbackHost(%q) = %v", host, got)
		}
	}
}

func TestAdmissionCountsPerNetwork(t *testing.T) {
	gate := newAdmission(Limits{Unjoined: 1}.withDefaults())
	one, neighbour := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if !gate.open(one, 0) || gate.open(neighbour, 0) {
		t.Error("two addresses of one /64 are not one network")
	}
	if !gate.open(netip.MustParseAddr("2001:db8:0:1::1"), 0) {
		t.Error("another /64 was refused")
	}
	gate.settle(one)
	if !gate.open(neighbour, 0) {
		t.Error("refused after the other had settled")
	}
}

func TestJoinsPerAddress(t *testing.T) {
	gate := newAdmission(Limits{}.withDefaults())
	addr, now := netip.MustParseAddr("192.0.2.1"), timing.Instant(time.Hour)
	for join := range 10 {
		if !gate.join(addr, now, 1) {
			t.Fatalf("join %d refused", join)
		}
	}
	if gate.join(addr, now, 1) || gate.join(netip.MustParseAddr("::ffff:192.0.2.1"), now, 1) {
		t.Error("an eleventh join passed")
	}
	if now = now.Add(200 * time.Millisecond); !gate.join(addr, now, 1) || gate.join(addr, now, 1) {
		t.Error("5 joins a second do not come back one by one")
	}
}

func TestNetworkTableIsSwept(t *testing.T) {
	gate := newAdmission(Limits{}.withDefaults())
	now := timing.Instant(time.Hour)
	addr := netip.MustParseAddr("10.0.0.0")
	visit := func() {
		gate.open(addr, now)
		gate.join(addr, now, 1)
		gate.settle(addr)
		gate.close(addr)
	}
	for range 2 * maxTracked {
		visit()
		addr = addr.Next()
	}
	if len(gate.networks) != 2*maxTracked {
		t.Errorf("%d networks tracked: their joins are forgotten too early", len(gate.networks))
	}
	now = now.Add(sweepInterval)
	visit()
	if len(gate.networks) != 1 {
		t.Errorf("%d networks tracked after they were quiet", len(gate.networks))
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	gate := newAdmission(Limits{Connections: 2}.withDefaults())
	one := netip.MustParseAddr("192.0.2.1")
	for range 2 {
		gate.open(one, 0)
		gate.settle(one)
	}
	if gate.open(one, 0) || !gate.open(netip.MustParseAddr("192.0.2.2"), 0) {
		t.Error("the limit is not 2 for each address")
	}
	if gate.close(one); !gate.open(one, 0) {
		t.Error("refused after another had closed")
	}
}
