package link_test

import (
	"net/netip"
	"strings"
	"testing"

	"tourbillon/signaling/agent/link"
)

func TestAdmit(t *testing.T) {
	strict, loopback := link.Admit(), link.Admit(netip.MustParsePrefix("127.0.0.0/8"))
	for _, row := range []struct {
		addresses string
		want      bool
	}{
		{"127.0.0.1 ::1 0.0.0.0 :: 169.254.169.254 fe80::1 fe80::1%eth0 fec0::1 224.0.0.1 ff02::1 255.255.255.255", false},
		{"168.63.129.16 100.100.100.200 192.0.0.192 ::ffff:100.100.100.200 fd00:ec2::254 fd20:ce::254 0.1.2.3", false},
		{"192.0.0.8 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 240.0.0.1", false},
		{"2001:db8::1 3fff::1 2001:2::1 2001:10::1 2620:4f:8000::1 5f00::1 100::1 4000::1 e000::1", false},
		{"::ffff:127.0.0.1 ::7f00:1 ::ffff:0:7f00:1 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001:0:c000:201::80ff:fffe", false},
		{"8.8.8.8 ::ffff:8.8.8.8 192.168.1.4 10.0.0.5 2606:4700::1111 fd12::1 172.16.0.1 100.64.0.1 100.100.100.201 2a00::1", true},
	} {
		for text := range strings.FieldsSeq(row.addresses) {
			if got := strict(netip.AddrPortFrom(netip.MustParseAddr(text), 5000)); got != row.want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
	if strict(netip.AddrPort{}) || strict(netip.MustParseAddrPort("8.8.8.8:0")) {
		t.Error("no address, or port 0, is admitted")
	}
	if !loopback(netip.MustParseAddrPort("127.0.0.1:9")) || loopback(netip.MustParseAddrPort("169.254.169.254:80")) {
		t.Error("what was allowed is not, or more is")
	}
}
