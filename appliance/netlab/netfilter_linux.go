package netlab

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// What is needed of linux/netfilter/nf_tables.h, nfnetlink.h, nfnetlink_conntrack.h and netfilter.h.
const (
	subsysConntrack, subsysTables                  = 1, 10
	batchBegin, batchEnd                           = 0x10, 0x11
	conntrackDelete                                = 2
	newTable, deleteTable, newChain, newRule       = 0, 2, 3, 6
	tableName                                      = 1
	chainTable, chainName, chainHook, chainPolicy  = 1, 3, 4, 5
	chainType                                      = 7
	hookNumber, hookPriority                       = 1, 2
	ruleTable, ruleChain, ruleExpressions          = 1, 2, 4
	listElement, expressionName, expressionData    = 1, 1, 2
	payloadInto, payloadBase, payloadAt, payloadOf = 1, 2, 3, 4
	compareOf, compareHow, compareWith, dataValue  = 1, 2, 3, 1
	masqueradeFlags                                = 1
	immediateInto, immediateData                   = 1, 2
	dataVerdict, verdictCode                       = 2, 1

	natTable, lossTable                          = "nat", "loss"
	verdictRegister, register1                   = 0, 1
	networkHeader                                = 1
	sourceAddressAt, destinationAddressAt        = 12, 16
	hookPreRouting, hookForward                  = 0, 2
	hookPostRouting                              = 4
	verdictDrop, verdictAccept                   = 0, 1
	beforeTranslation, translation        uint32 = 1<<32 - 300, 100
)

// attribute is one netlink attribute, padded to four bytes.
func attribute(kind uint16, value []byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	a = append(binary.NativeEndian.AppendUint16(a, kind), value...)
	return append(a, make([]byte, (4-len(a)%4)%4)...)
}

func text(kind uint16, value string) []byte { return attribute(kind, append([]byte(value), 0)) }

func number(kind uint16, value uint32) []byte {
	return attribute(kind, binary.BigEndian.AppendUint32(nil, value))
}

func nested(kind uint16, parts ...[]byte) []byte {
	return attribute(kind|unix.NLA_F_NESTED, join(parts))
}

func join(parts [][]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// request is one netlink message to netfilter.
func request(kind, flags uint16, family byte, resource uint16, attributes ...[]byte) []byte {
	body := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
	body = append(body, join(attributes)...)
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, unix.NLM_F_REQUEST|flags)
	m = append(m, make([]byte, 8)...) // Sequence and port: one answer at a time.
	return append(m, body...)
}

// changeTables changes the packet filter in one go.
func (n *Network) changeTables(changes ...[]byte) error {
	begin := request(batchBegin, 0, unix.AF_UNSPEC, subsysTables)
	end := request(batchEnd, 0, unix.AF_UNSPEC, subsysTables)
	return n.tell(append(append(begin, join(changes)...), end...), len(changes))
}

func change(what, flags uint16, attributes ...[]byte) []byte {
	return request(subsysTables<<8|what, unix.NLM_F_ACK|flags, unix.NFPROTO_IPV4, 0, attributes...)
}

// tell sends to the router's netfilter and waits for so many acknowledgements.
func (n *Network) tell(messages []byte, answers int) error {
	socket, err := n.netlink()
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if err := unix.Sendto(socket, messages, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send to netfilter: %w", err)
	}
	buffer := make([]byte, 1<<16)
	for answers > 0 {
		size, _, err := unix.Recvfrom(socket, buffer, 0)
		if err != nil {
			return fmt.Errorf("hear from netfilter: %w", err)
		}
		for rest := buffer[:size]; len(rest) >= unix.SizeofNlMsghdr+4; answers-- {
			size := binary.NativeEndian.Uint32(rest)
			if code := int32(binary.NativeEndian.Uint32(rest[unix.SizeofNlMsghdr:])); code != 0 {
				return fmt.Errorf("netfilter refuses: %w", unix.Errno(-code))
			}
			rest = rest[min(int(size+3)&^3, len(rest)):]
		}
	}
	return nil
}

// netlink opens a socket to the router's netfilter. It belongs to the namespace in which it was made, whoever uses it.
func (n *Network) netlink() (socket int, err error) {
	err = within(n.namespace(router), func() error {
		socket, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open netlink: %w", err)
	}
	return socket, nil
}

// masquerade hides one host behind the router's own addresses. From outside its own address leads nowhere: what comes
// for it is dropped before an answer's translation puts it there.
func (n *Network) masquerade(host [4]byte, ports PortChoice) error {
	return n.changeTables(
		change(newTable, unix.NLM_F_CREATE, text(tableName, natTable)),
		change(newChain, unix.NLM_F_CREATE, text(chainTable, natTable), text(chainName, "out"), text(chainType, "nat"),
			nested(chainHook, number(hookNumber, hookPostRouting), number(hookPriority, translation)), number(chainPolicy, verdictAccept)),
		change(newRule, unix.NLM_F_CREATE|unix.NLM_F_APPEND, text(ruleTable, natTable), text(ruleChain, "out"), nested(ruleExpressions,
			loadAddress(sourceAddressAt), compareTo(host),
			expression("masq", number(masqueradeFlags, uint32(ports))),
		)),
		change(newChain, unix.NLM_F_CREATE, text(chainTable, natTable), text(chainName, "in"), text(chainType, "filter"),
			nested(chainHook, number(hookNumber, hookPreRouting), number(hookPriority, beforeTranslation)), number(chainPolicy, verdictAccept)),
		change(newRule, unix.NLM_F_CREATE|unix.NLM_F_APPEND, text(ruleTable, natTable), text(ruleChain, "in"), nested(ruleExpressions,
			loadAddress(destinationAddressAt), compareTo(host),
			expression("immediate", number(immediateInto, verdictRegister),
				nested(immediateData, nested(dataVerdict, number(verdictCode, verdictDrop)))),
		)),
	)
}

// loadAddress puts an address of the packet's IPv4 header into the register, compareTo goes on if it is the host's.
func loadAddress(at uint32) []byte {
	return expression("payload", number(payloadInto, register1), number(payloadBase, networkHeader), number(payloadAt, at), number(payloadOf, 4))
}

func compareTo(host [4]byte) []byte {
	return expression("cmp", number(compareOf, register1), number(compareHow, 0), nested(compareWith, attribute(dataValue, host[:])))
}

func expression(name string, data ...[]byte) []byte {
	return nested(listElement, text(expressionName, name), nested(expressionData, data...))
}

// forget drops every mapping.
func (n *Network) forget() error {
	return n.tell(request(subsysConntrack<<8|conntrackDelete, unix.NLM_F_ACK, unix.AF_UNSPEC, 0), 1)
}

// lose drops all that would be forwarded; pass lifts that.
func (n *Network) lose() error {
	return n.changeTables(
		change(newTable, unix.NLM_F_CREATE, text(tableName, lossTable)),
		change(newChain, unix.NLM_F_CREATE, text(chainTable, lossTable), text(chainName, "all"), text(chainType, "filter"),
			nested(chainHook, number(hookNumber, hookForward), number(hookPriority, 0)), number(chainPolicy, verdictDrop)),
	)
}

func (n *Network) pass() error {
	return n.changeTables(change(deleteTable, 0, text(tableName, lossTable)))
}
