package turn

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// nobody is a host without live relays.
func nobody(netip.AddrPort) bool { return false }

func testPolicy() *Policy {
	own := []netip.Addr{
		netip.MustParseAddr("8.8.4.4"),      // an interface
		netip.MustParseAddr("10.0.0.1"),     // a gateway
		netip.MustParseAddr("9.9.9.9"),      // a resolver
		netip.MustParseAddr("2001:4860::1"), // an IPv6 interface
	}
	mux := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:40000")}
	return NewPolicy([]netip.Addr{netip.MustParseAddr("8.8.4.4")}, mux, nil, nil, own)
}

func TestJudgeAddresses(t *testing.T) {
	for _, row := range []struct {
		addrs   string
		allowed bool
	}{
		{"127.0.0.1 ::1 0.0.0.0 :: 0.1.2.3 ::%eth0", false},
		{"::ffff:127.0.0.1 ::7f00:1 ::ffff:0:7f00:1 64:ff9b::7f00:1 2002:7f00:1:: 2001:0:c000:201::80ff:fffe", false},
		{"::ffff:8.8.8.8", true},
		{"10.0.0.5 172.31.255.255 192.168.1.1 100.64.0.1", false},
		{"169.254.169.254 fe80::1 fe80::1%eth0 fec0::1 fd00:ec2::254 fd20:ce::254 168.63.129.16", false},
		{"192.0.0.8 192.0.2.1 198.18.0.1 203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255", false},
		{"2001:db8::1 3fff::1 2001:20::1 ff02::1 4000::1 5f00::1 100::1 100:0:0:1::1 64:ff9b:1::1", false},
		{"192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.51.100.1 2620:4f:8000::1", false},
		{"172.32.0.1 100.128.0.1 11.0.0.1 198.20.0.1 2606:4700::1111 2001:4860::8888", true},
		{"8.8.4.4 10.0.0.1 9.9.9.9 2001:4860::1 ::ffff:9.9.9.9 64:ff9b::9.9.9.9", false},
	} {
		for text := range strings.FieldsSeq(row.addrs) {
			verdict := testPolicy().Judge(netip.AddrPortFrom(netip.MustParseAddr(text), 50000), nobody)
			if verdict.Allowed != row.allowed || verdict.Reason == "" {
				t.Errorf("%s: %+v, want allowed %v", text, verdict, row.allowed)
			}
		}
	}
	if v := testPolicy().Judge(netip.AddrPort{}, nobody); v.Allowed || v.Reason != ReasonInvalid {
		t.Errorf("the zero address: %+v", v)
	}
}

func TestJudgePortsAndExceptions(t *testing.T) {
	live := func(ap netip.AddrPort) bool { return ap == netip.MustParseAddrPort("8.8.4.4:50000") }
	for peer, want := range map[string]Verdict{
		"1.1.1.1:0":                  {false, ReasonPort},
		"1.1.1.1:22":                 {false, ReasonPort},
		"1.1.1.1:1023":               {false, ReasonPort},
		"1.1.1.1:443":                {true, ReasonGlobal},
		"1.1.1.1:1024":               {true, ReasonGlobal},
		"8.8.4.4:50000":              {true, ReasonLiveRelay},
		"[::ffff:8.8.4.4]:50000":     {true, ReasonLiveRelay},
		"8.8.4.4:3478":               {false, ReasonOwnHost},
		"8.8.4.4:50001":              {false, ReasonOwnHost},
		"[64:ff9b::8.8.4.4]:50000":   {false, ReasonNotGlobal},
		"127.0.0.1:40000":            {true, ReasonMux},
		"127.0.0.1:40001":            {false, ReasonLoopback},
		"[::ffff:127.0.0.1]:40000":   {true, ReasonMux},
		"[64:ff9b::127.0.0.1]:40000": {false, ReasonNotGlobal},
		"[2002:7f00:1::]:40000":      {false, ReasonTunnel},
	} {
		if got := testPolicy().Judge(netip.MustParseAddrPort(peer), live); got != want {
			t.Errorf("%s: %+v, want %+v", peer, got, want)
		}
	}
	for addr, want := range map[string]bool{
		"8.8.4.4": true, "127.0.0.1": true, "127.0.0.2": false, "10.0.0.1": false, "1.1.1.1": true, "::1": false,
	} {
		if got := testPolicy().JudgeIP(netip.MustParseAddr(addr)); got.Allowed != want {
			t.Errorf("permission for %s: %+v, want allowed %v", addr, got, want)
		}
	}
	if got := testPolicy().JudgeIP(netip.Addr{}); got.Allowed {
		t.Errorf("permission for no address: %+v", got)
	}
}

func TestAllowAndDenyLists(t *testing.T) {
	prefixes := func(list ...string) (all []netip.Prefix) {
		for _, p := range list {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	everything := prefixes("0.0.0.0/0", "::/0")
	lan := prefixes("::ffff:192.168.0.0/112", "fd12::/16")
	own := []netip.Addr{netip.MustParseAddr("192.168.0.1")}
	for _, row := range []struct {
		allow, deny []netip.Prefix
		addrs       string
		want        Reason
	}{
		{lan, nil, "192.168.0.9 fd12::1", ReasonAllowed},
		{lan, nil, "192.168.0.1", ReasonOwnHost},
		{lan, nil, "192.169.0.9", ReasonGlobal},
		{lan, nil, "10.0.0.1", ReasonPrivate},
		{lan, prefixes("192.168.0.8/29"), "192.168.0.9 ::ffff:192.168.0.9", ReasonDenied},
		{nil, prefixes("::ffff:1.1.0.0/112", "2606:4700::/32"), "1.1.1.1 2606:4700::1", ReasonDenied},
		{everything, nil, "10.0.0.1 192.168.0.9 100.64.0.1 fd12::1 240.0.0.1", ReasonAllowed},
		{everything, nil, "127.0.0.1 ::1 64:ff9b::7f00:1 ::7f00:1 ::ffff:0:7f00:1", ReasonLoopback},
		{everything, nil, "0.0.0.0 :: 0.1.2.3", ReasonUnspecified},
		{everything, nil, "169.254.169.254 fe80::1 64:ff9b::169.254.169.254", ReasonLinkLocal},
		{everything, nil, "168.63.129.16 fd00:ec2::254", ReasonMetadata},
		{everything, nil, "224.0.0.1 ff02::1 255.255.255.255", ReasonMulticast},
		{everything, nil, "2001::1 2002:808:808::1", ReasonTunnel},
	} {
		policy := NewPolicy([]netip.Addr{netip.MustParseAddr("8.8.4.4")}, nil, row.allow, row.deny, own)
		for text := range strings.FieldsSeq(row.addrs) {
			if got := policy.Judge(netip.AddrPortFrom(netip.MustParseAddr(text), 5000), nobody); got.Reason != row.want {
				t.Errorf("allow %v deny %v: %s: %+v, want %s", row.allow, row.deny, text, got, row.want)
			}
		}
	}
}

// encodeAll writes an IPv4 address in the six encodings, built from strings of bytes and not from the table.
func encodeAll(v4 [4]byte) map[string]netip.Addr {
	at := func(prefix []byte, offset int, b [4]byte) netip.Addr {
		var raw [16]byte
		copy(raw[:], prefix)
		copy(raw[offset:], b[:])
		return netip.AddrFrom16(raw)
	}
	inverted := [4]byte{255 - v4[0], 255 - v4[1], 255 - v4[2], 255 - v4[3]}
	return map[string]netip.Addr{
		"mapped":     at([]byte{10: 0xff, 11: 0xff}, 12, v4),
		"compatible": at(nil, 12, v4),
		"siit":       at([]byte{8: 0xff, 9: 0xff}, 12, v4),
		"nat64":      at([]byte{0, 0x64, 0xff, 0x9b}, 12, v4),
		"6to4":       at([]byte{0x20, 0x02}, 2, v4),
		"teredo":     at([]byte{0x20, 0x01}, 12, inverted),
	}
}

func TestEncodingsMeetTheSameFate(t *testing.T) {
	everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for _, policy := range []*Policy{
		testPolicy(), NewPolicy([]netip.Addr{netip.MustParseAddr("8.8.4.4")}, nil, everything, nil, nil),
	} {
		const never = "127.0.0.1 127.9.9.9 0.0.0.0 169.254.169.254 168.63.129.16 224.0.0.1 255.255.255.255"
		for text := range strings.FieldsSeq(never) {
			for name, addr := range encodeAll(netip.MustParseAddr(text).As4()) {
				if v := policy.Judge(netip.AddrPortFrom(addr, 5000), nobody); v.Allowed {
					t.Errorf("%s as %s (%v): %+v", text, name, addr, v)
				}
				if v := policy.JudgeIP(addr); v.Allowed && addr.Unmap() != netip.MustParseAddr("127.0.0.1") {
					t.Errorf("permission for %s as %s (%v): %+v", text, name, addr, v)
				}
			}
		}
	}
}

// slowCanonical is the reference: it compares hexadecimal text.
func slowCanonical(addr netip.Addr) (literal, embedded netip.Addr) {
	if addr.Is4() {
		return addr, netip.Addr{}
	}
	raw := addr.As16()
	v4 := func(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }
	text := hex.EncodeToString(raw[:])
	literal = addr.WithZone("")
	switch {
	case strings.HasPrefix(text, "00000000000000000000ffff"):
		return v4(raw[12:]), netip.Addr{}
	case text == strings.Repeat("0", 32), text == strings.Repeat("0", 31)+"1":
	case strings.HasPrefix(text, "000000000000000000000000"),
		strings.HasPrefix(text, "0000000000000000ffff0000"),
		strings.HasPrefix(text, "0064ff9b0000000000000000"):
		embedded = v4(raw[12:])
	case strings.HasPrefix(text, "2002"):
		embedded = v4(raw[2:6])
	case strings.HasPrefix(text, "20010000"):
		embedded = v4([]byte{raw[12] ^ 0xff, raw[13] ^ 0xff, raw[14] ^ 0xff, raw[15] ^ 0xff})
	}
	return literal, embedded
}

func FuzzCanonical(f *testing.F) {
	for _, addr := range encodeAll([4]byte{127, 0, 0, 1}) {
		f.Add(addr.AsSlice())
	}
	for _, text := range []string{"::", "::1", "2606::1", "1.2.3.4", "::2"} {
		f.Add(netip.MustParseAddr(text).AsSlice())
	}
	policy := testPolicy()
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		literal, embedded := canonical(addr)
		if wantLiteral, wantEmbedded := slowCanonical(addr); literal != wantLiteral || embedded != wantEmbedded {
			t.Fatalf("canonical(%v) = %v, %v; the reference says %v, %v", addr, literal, embedded, wantLiteral, wantEmbedded)
		}
		verdict := policy.judgeForms(addr)
		if verdict.Allowed && embedded.IsValid() && !policy.judgeAddr(embedded).Allowed {
			t.Fatalf("%v is allowed although %v is not", addr, embedded)
		}
	})
}

func TestHostAddrs(t *testing.T) {
	routes := "Iface\tDestination\tGateway \tFlags\n" +
		"eth0\t00000000\t010200C0\t0003\neth0\t000200C0\t00000000\t0001\nbroken\n"
	if got := parseRoutes4(strings.NewReader(routes)); !slices.Equal(got, addrs("192.0.2.1")) {
		t.Errorf("IPv4 gateways %v", got)
	}
	zero := strings.Repeat("0", 32)
	routes6 := zero + " 00 " + zero + " 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003 eth0\n" +
		zero + " 40 " + zero + " 00 " + zero + " 00000100 0 0 1 eth0\nbroken\n"
	if got := parseRoutes6(strings.NewReader(routes6)); !slices.Equal(got, addrs("fd00::1")) {
		t.Errorf("IPv6 gateways %v", got)
	}
	resolv := "# nameserver 1.1.1.1\nsearch example.com\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver x\n"
	if got := parseResolvers(strings.NewReader(resolv)); !slices.Equal(got, addrs("10.0.0.53", "fe80::1")) {
		t.Errorf("resolvers %v", got)
	}
	host, err := GatherHost()
	if err != nil || !slices.Contains(host.All(), netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("gathered %+v, %v; want at least loopback", host, err)
	}
}

func addrs(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}
