package link

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"tourbillon/timing"
)

// TestSenderOfTheWire has a socket that is given a wire send its checks by it: the kernel's tells the instant that was
// asked for as that of leaving, which no timer meets to the nanosecond. Without a wire, timers send.
func TestSenderOfTheWire(t *testing.T) {
	listen := func() *net.UDPConn {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	peer := listen()
	defer peer.Close()
	wire := timing.NewWire(timing.Runtime{}, timing.WireConfig{})
	for _, given := range []*timing.Wire{wire, nil} {
		s, err := Open(Config{Conn: UDP(listen()), Clock: timing.Runtime{}, Wire: given, Admit: Admit(netip.MustParsePrefix("127.0.0.0/8"))})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.NewPath(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, byWire := p.sender().(wireSender)
		due, left := timing.Runtime{}.Now().Add(5*time.Millisecond), make(chan timing.Instant, 1)
		_, err = p.sender().sendAt(due, []byte("check"), peer.LocalAddr().(*net.UDPAddr).AddrPort(), p, func(at timing.Instant, err error) {
			if err != nil {
				t.Errorf("it did not leave: %v", err)
			}
			left <- at
		})
		if err != nil {
			t.Fatal(err)
		}
		at := <-left
		if n, _, err := peer.ReadFromUDPAddrPort(make([]byte, 9)); n != 5 || err != nil {
			t.Errorf("%d bytes came: %v", n, err)
		}
		if byWire != (given != nil) || (given != nil && given.Report().Kernel) != (at == due) {
			t.Errorf("given a wire %v (%+v): sent by a wire %v, %v after the instant", given != nil, wire.Report(), byWire, at.Sub(due))
		}
		p.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := wire.Close(); err != nil {
		t.Error(err)
	}
}
