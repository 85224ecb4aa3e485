package turn

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

// HostAddrs is what the host itself adds to the deny list: addresses that a relay, sitting inside, could reach and an
// outsider could not. It is a value; [GatherHost] reads it off the system.
type HostAddrs struct {
	// Interfaces are the addresses of every local interface, Broadcasts the directed broadcasts of their subnets.
	Interfaces, Broadcasts []netip.Addr
	// Gateways are the next hops of the routing tables, Resolvers the name servers.
	Gateways, Resolvers []netip.Addr
}

// All returns every address in one list.
func (h HostAddrs) All() []netip.Addr {
	var all []netip.Addr
	for _, group := range [][]netip.Addr{h.Interfaces, h.Broadcasts, h.Gateways, h.Resolvers} {
		all = append(all, group...)
	}
	return all
}

// GatherHost reads the interfaces, routing tables and name servers as they are now. What a system does not have
// (routing tables in /proc, resolv.conf) is left out; interfaces that cannot be listed are an error.
func GatherHost() (HostAddrs, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return HostAddrs{}, fmt.Errorf("list interface addresses: %w", err)
	}
	var h HostAddrs
	for _, a := range addrs {
		if ipnet, ok := a.(*net.IPNet); ok {
			h.addInterface(ipnet)
		}
	}
	h.Gateways = append(
		readAddrs("/proc/self/net/route", parseRoutes4), readAddrs("/proc/self/net/ipv6_route", parseRoutes6)...)
	h.Resolvers = readAddrs("/etc/resolv.conf", parseResolvers)
	return h, nil
}

func (h *HostAddrs) addInterface(n *net.IPNet) {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return
	}
	addr = addr.Unmap()
	h.Interfaces = append(h.Interfaces, addr)
	ones, bits := n.Mask.Size()
	if addr.Is4() && bits == 32 && ones < 31 { // RFC 3021: a /31 has no broadcast.
		v4 := addr.As4()
		host := uint32(1)<<(32-ones) - 1
		binary.BigEndian.PutUint32(v4[:], binary.BigEndian.Uint32(v4[:])|host)
		h.Broadcasts = append(h.Broadcasts, netip.AddrFrom4(v4))
	}
}

func readAddrs(path string, parse func(io.Reader) []netip.Addr) []netip.Addr {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	return parse(f)
}

// parseRoutes4 reads the gateways of /proc/net/route, where they are hexadecimal in the machine's byte order.
func parseRoutes4(r io.Reader) []netip.Addr {
	return parseLines(r, func(fields []string) (netip.Addr, bool) {
		if len(fields) < 3 {
			return netip.Addr{}, false
		}
		raw, err := hex.DecodeString(fields[2])
		if err != nil || len(raw) != 4 {
			return netip.Addr{}, false
		}
		var v4 [4]byte
		binary.NativeEndian.PutUint32(v4[:], binary.BigEndian.Uint32(raw))
		return netip.AddrFrom4(v4), true
	})
}

// parseRoutes6 reads the next hops of /proc/net/ipv6_route.
func parseRoutes6(r io.Reader) []netip.Addr {
	return parseLines(r, func(fields []string) (netip.Addr, bool) {
		if len(fields) < 5 {
			return netip.Addr{}, false
		}
		raw, err := hex.DecodeString(fields[4])
		if err != nil || len(raw) != 16 {
			return netip.Addr{}, false
		}
		return netip.AddrFrom16([16]byte(raw)), true
	})
}

// parseResolvers reads the nameserver lines of resolv.conf.
func parseResolvers(r io.Reader) []netip.Addr {
	return parseLines(r, func(fields []string) (netip.Addr, bool) {
		if len(fields) < 2 || fields[0] != "nameserver" {
			return netip.Addr{}, false
		}
		addr, err := netip.ParseAddr(fields[1])
		return addr.WithZone(""), err == nil
	})
}

// parseLines collects what pick finds in each line, without the unspecified address, which marks "no gateway".
func parseLines(r io.Reader, pick func(fields []string) (netip.Addr, bool)) []netip.Addr {
	var found []netip.Addr
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if addr, ok := pick(strings.Fields(lines.Text())); ok && !addr.IsUnspecified() {
			found = append(found, addr)
		}
	}
	return found
}
