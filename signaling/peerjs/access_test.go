package peerjs

import (
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestPageAllowed(t *testing.T) {
	cases := []struct {
		origins []string
		config  Config
		want    bool
	}{
		{nil, Config{}, true},
		{[]string{"http://server:8080"}, Config{}, true},
		{[]string{"http://server"}, Config{}, false},
		{[]string{"https://app.example"}, Config{}, false},
		{[]string{"https://app.example"}, Config{Origins: []string{"https://APP.example/"}}, true},
		{[]string{"https://app.example"}, Config{Origins: []string{"*"}}, true},
		{[]string{"null"}, Config{}, false},
		{[]string{"null"}, Config{Origins: []string{"*"}}, true},
		{[]string{"http://localhost:5173"}, Config{}, false},
		{[]string{"http://localhost:5173"}, Config{LoopbackPages: true}, true},
		{[]string{"http://[::1]:5173"}, Config{LoopbackPages: true}, true},
		{[]string{"http://localhost.evil.example"}, Config{LoopbackPages: true}, false},
		{[]string{"http://server:8080", "http://server:8080"}, Config{}, false},
		{[]string{"http://%zz"}, Config{}, false},
	}
	for _, c := range cases {
		r := httptest.NewRequest("GET", "http://server:8080/peerjs", nil)
		for _, o := range c.origins {
			r.Header.Add("Origin", o)
		}
		if c.config.pageAllowed(r) != c.want {
			t.Errorf("%v with %+v: %v, want %v", c.origins, c.config, !c.want, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	var p pace
	took := 0
	for range 10 {
		if p.take(t0, 2, 3) {
			took++
		}
	}
	if took != 3 {
		t.Errorf("a burst of %d, want 3", took)
	}
	if p.take(t0.Add(499*time.Millisecond), 2, 3) || !p.take(t0.Add(500*time.Millisecond), 2, 3) || p.take(t0.Add(501*time.Millisecond), 2, 3) {
		t.Error("not one in half a second")
	}
	if took = 0; true {
		for range 10 {
			if p.take(t0.Add(time.Hour), 2, 3) {
				took++
			}
		}
	}
	if took != 3 {
		t.Errorf("after an hour a burst of %d, want 3", took)
	}
}

func TestGateForgets(t *testing.T) {
	g := newGate(Limits{OpensPerSecond: 1}.withDefaults())
	network := func(i int) netip.Prefix {
		return networkOf(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	for i := range maxTracked {
		if !g.ask(network(i), t0) {
			t.Fatalf("network %d was refused", i)
		}
	}
	if g.ask(network(maxTracked), t0) {
		t.Error("one more network was let in while none can be forgotten")
	}
	if !g.ask(network(maxTracked), t0.Add(2*time.Second)) || len(g.opens) != 1 {
		t.Errorf("%d networks are remembered, want 1", len(g.opens))
	}
}

func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := networkOf(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if networkOf(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address is a network of its own")
	}
}
