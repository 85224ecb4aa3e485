//go:build linux

package relay_test

import (
	"net/netip"
	"testing"

	"tourbillon/turn/relay"
)

// BenchmarkToClient relays bursts of a peer's packets to a client, whose listener is on one address or on all: what the
// local address of a packet costs. The figure is of the whole way, sockets of the test included.
func BenchmarkToClient(b *testing.B) {
	for name, at := range map[string]string{"one address": "127.0.0.1:0", "wildcard": "0.0.0.0:0"} {
		b.Run(name, func(b *testing.B) {
			p, err := relay.Open(relay.Options{Loops: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			listeners, err := p.Listen(netip.MustParseAddrPort(at), false)
			if err != nil {
				b.Fatal(err)
			}
			benchmarkToClient(b, listeners[0])
		})
	}
}

func benchmarkToClient(b *testing.B, l *relay.Listener) {
	const burst = 16
	client, peer := socketFor(b), socketFor(b)
	r, err := l.Loop().OpenRelay(anywhere)
	if err != nil {
		b.Fatal(err)
	}
	c := relay.Client{Listener: l, Addr: addr(client)}
	if addr(l).Addr().IsUnspecified() {
		c.Local = anywhere.Addr()
	}
	r.Attach(c)
	r.SetFlow(relay.Flow{Peer: addr(peer), Announced: addr(peer), Channel: 0x4001})
	data, buffer := make([]byte, 1000), make([]byte, 2048)
	b.SetBytes(burst * int64(len(data)))
	for b.Loop() {
		for range burst {
			if _, err := peer.WriteToUDPAddrPort(data, addr(r)); err != nil {
				b.Fatal(err)
			}
		}
		for range burst {
			if _, err := client.Read(buffer); err != nil {
				b.Fatal(err)
			}
		}
	}
}
