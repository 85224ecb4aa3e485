package turn

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn/relay"
)

// back is the way to a listener's clients. It does not block on UDP, nor on a stream that a loop serves; on another stream
// it may, as long as the kernel takes nothing.
type back interface {
	// reply sends the response to a request, or withholds it where a spoofed source may have asked for it.
	reply(p []byte, to tuple)
	// send sends ChannelData or an indication.
	send(p []byte, to tuple)
	// authenticated tells that a request of a client's was.
	authenticated(client netip.AddrPort)
}

// control is the server's side of TURN for one listener (RFC 8656): what it is and where its relays go.
type control struct {
	core      *core
	listener  int // index, for clientKey
	transport Transport
	server    netip.AddrPort
	loop      *relay.Listener // nil where there are no loops
}

// transaction serves the packets of one reading goroutine, one after the other: a UDP listener's, or a connection's.
type transaction struct {
	*control
	back back
	in   message
	out  stun.Message

	// Of the packet that is served now. from names the client as the socket does.
	from tuple
	key  clientKey
	user string
	sign stun.MessageIntegrity // nil before the request is authenticated
	keys keyCache
}

func (h *control) transactions(to back) *transaction { return &transaction{control: h, back: to} }

// take serves a packet from a client. It does not block but for what back does.
func (x *transaction) take(p []byte, from tuple) {
	defer x.survive()
	x.from, x.key, x.sign = from, from.key(x.listener), nil
	x.in.Type = stun.MessageType{Class: stun.ClassIndication}
	switch classify(p) {
	case kindChannelData:
		x.channelData(p)
	case kindSTUN:
		if !x.in.decode(p) {
			return
		}
		switch x.in.Type.Class {
		case stun.ClassRequest:
			x.request()
		case stun.ClassIndication:
			x.indication()
		}
	}
}

// survive is deferred by take: a panic costs one packet, and a request is answered that we failed, if we can.
func (x *transaction) survive() {
	if cause := recover(); cause != nil {
		x.core.panicked("packet", cause)
		if x.in.Type.Class == stun.ClassRequest {
			defer x.core.survive("answer after a panic") // What panicked may be what answers.
			x.refuse(stun.CodeServerError)
		}
	}
}

// channelData relays a packet of a channel that has no flow.
func (x *transaction) channelData(p []byte) {
	e := x.core.allocations.of(x.key)
	if e == nil {
		x.core.counters.strangers.Add(1)
		return
	}
	peer, ok := e.peerOf(binary.BigEndian.Uint16(p))
	if !ok {
		e.socket.drop(reasonNoChannel)
		return
	}
	body := int(binary.BigEndian.Uint16(p[2:]))
	e.socket.sendTo(p[channelHeaderBytes:channelHeaderBytes+body], peer)
}

// indication relays a Send indication to a peer that has a permission; all others are silently passed over (RFC 8656 11.2),
// as is one that wants the DF bit, which we cannot set.
func (x *transaction) indication() {
	in := &x.in
	if in.Type.Method != stun.MethodSend || in.data == nil || len(in.peers) == 0 || len(in.unknown) > 0 || in.dontFragment {
		return
	}
	e := x.core.allocations.of(x.key)
	if e == nil {
		x.core.counters.strangers.Add(1)
		return
	}
	e.socket.sendTo(in.data, in.peers[0])
}

// request answers a request. One of a method that we do not know is left in silence (RFC 8489 6.3).
func (x *transaction) request() {
	var serve func()
	switch x.in.Type.Method {
	case stun.MethodBinding:
		x.binding()
		return
	case stun.MethodAllocate:
		serve = x.allocate
	case stun.MethodRefresh:
		serve = x.refresh
	case stun.MethodCreatePermission:
		serve = x.createPermission
	case stun.MethodChannelBind:
		serve = x.channelBind
	case stun.MethodConnect:
		serve = x.connect
	case stun.MethodConnectionBind:
		serve = x.connectionBind
	default:
		return
	}
	if !x.authenticate() {
		return
	}
	if len(x.in.unknown) > 0 {
		x.refuse(stun.CodeUnknownAttribute, x.in.unknown)
		return
	}
	serve()
}

// binding answers with the client's address. A bare request is answered in the data plane.
func (x *transaction) binding() {
	if len(x.in.unknown) > 0 {
		x.refuse(stun.CodeUnknownAttribute, x.in.unknown)
		return
	}
	x.begin(stun.ClassSuccessResponse)
	addAddress(&x.out, stun.AttrXORMappedAddress, x.key.client)
	_ = stun.Fingerprint.AddTo(&x.out) // It does not fail.
	x.back.reply(x.out.Raw, x.from)
}

// authenticate checks the long-term credential (RFC 8489 9.2.4) and answers where it does not hold.
func (x *transaction) authenticate() (ok bool) {
	in, core := &x.in, x.core
	switch {
	case !in.integrity:
		x.challenge(stun.CodeUnauthorized)
		return false
	case in.username == nil || in.realm == nil || in.nonce == nil:
		x.refuse(stun.CodeBadRequest)
		return false
	case !core.nonces.good(in.nonce, core.clock.Now(), x.key.client):
		x.challenge(stun.CodeStaleNonce)
		return false
	}
	ring, username := core.ring.Load(), string(in.username)
	name, failure := ring.judge(username, string(in.realm), in.Type.Method, core.now())
	if failure == authOK {
		if x.sign = x.keys.verify(ring, username, &in.Message); x.sign == nil {
			failure = authIntegrity
		}
	}
	if failure != authOK {
		core.refused(x.key.client, username, failure)
		x.challenge(stun.CodeUnauthorized)
		return false
	}
	x.user = name.User
	x.back.authenticated(x.key.client)
	return true
}

// begin begins the answer to the request at hand.
func (x *transaction) begin(class stun.MessageClass) {
	x.out.Reset()
	x.out.Type = stun.MessageType{Method: x.in.Type.Method, Class: class}
	x.out.TransactionID = x.in.TransactionID
	x.out.WriteHeader()
}

// challenge asks for credentials.
func (x *transaction) challenge(code stun.ErrorCode) {
	x.begin(stun.ClassErrorResponse)
	_ = stun.ErrorCodeAttribute{Code: code}.AddTo(&x.out) // Without a phrase, so that little is sent to a spoofed source.
	text := x.core.nonces.at(x.core.clock.Now(), x.key.client)
	x.out.Add(stun.AttrNonce, text[:])
	x.out.Add(stun.AttrRealm, x.core.realmBytes)
	x.back.reply(x.out.Raw, x.from)
	x.core.lendChallenge()
}

// lendChallenge has the data plane challenge others in the same way, for as long as nonces are of the present period.
func (c *core) lendChallenge() {
	now := c.clock.Now()
	step := nonceStepAt(now)
	if c.plane == nil || c.lent.Swap(step) == step {
		return
	}
	c.plane.SetChallenge(relay.Challenge{
		Realm: c.realmBytes, Key: c.nonces.key, Step: step, Good: nonceStep - time.Duration(now)%nonceStep,
	})
}

// refuse answers with an error, signed once the request is authenticated (RFC 8489 9.2.4).
func (x *transaction) refuse(code stun.ErrorCode, more ...stun.Setter) {
	x.begin(stun.ClassErrorResponse)
	addCode(&x.out, code)
	for _, attribute := range more {
		_ = attribute.AddTo(&x.out) // Only UNKNOWN-ATTRIBUTES, which does not fail.
	}
	x.finish()
}

// finish signs the answer, if the request is authenticated, and sends it.
func (x *transaction) finish() {
	if x.sign != nil {
		_ = x.sign.AddTo(&x.out) // It fails behind FINGERPRINT alone, which we do not send here.
	}
	x.back.reply(x.out.Raw, x.from)
}

// addCode adds an ERROR-CODE with its reason phrase, or without one where it has none.
func addCode(m *stun.Message, code stun.ErrorCode) {
	if code.AddTo(m) != nil {
		_ = stun.ErrorCodeAttribute{Code: code}.AddTo(m) // A phrase of no length is not too long.
	}
}
