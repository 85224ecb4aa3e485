package relay

import (
	"tourbillon/timing/kernel"
	"tourbillon/turn/nonce"
)

// Kinds of sockets.
const (
	kindNone = iota
	kindListener
	kindRelay
	kindKick   // the eventfd by which Go wakes the loop
	kindStream // a client's connection
)

// States of a socket. The loop stores stateFreed last; Go then owns the entry again.
const (
	stateFree uint32 = iota
	stateOpen
	stateClosing
	stateFreed
)

// counter counts packets and payload bytes. The loop writes it, anybody reads.
type counter struct{ packets, bytes uint64 }

// bucket is a token bucket as one word, the instant in ns at which it is full again (generic cell rate algorithm), which
// the loop and Go change by compare-and-swap. cost is what one unit takes to grow back, in 1/1024 ns; 0 limits nothing.
type bucket struct{ cost, full uint64 }

// socket is one socket of a loop. A relay's entry is also its allocation.
type socket struct {
	fd         int32
	kind       uint32
	state      uint32 // atomic: Go and the loop hand the entry over with it
	generation uint32
	sink       uint32 // the queue for what the loop does not handle itself
	started    bool   // the loop reads it, a stream from commandStart on
	reading    bool   // the kernel receives, or watches the eventfd: with io_uring

	// What follows belongs to a relay.
	attached uint32 // whether it has a client
	listener uint32 // the socket that the client reaches us by
	client   endpoint
	name     [nameBytes]byte // the client's sockaddr
	nameLen  uint32
	// local is the address of ours that the client uses, and control what has a packet leave from it (IP_PKTINFO), where
	// the listener is on a wildcard address. Zero otherwise.
	local      endpoint
	control    [controlBytes / 8]uint64
	controlLen uint32

	firstFlow uint32 // index+1 of the first of its flows
	flows     uint32

	toPeers, fromPeers counter
	drops              Drops
	upPackets, upBytes bucket // ceilings towards the peers
	downPackets        bucket // and from them
	downBytes          bucket

	// What follows belongs to a stream; see hot_stream_linux.go and hot_stream_out_linux.go.
	buffers          *streamBuffers // written by Go alone
	owned            uint32         // index+1 of the relay of the stream's client
	part             uint32         // which of the buffers for what comes is in use
	inStart, inEnd   uint32         // what of it is to be cut
	skip             uint32         // bytes of a frame too long that are still to come
	outStart, outEnd uint32         // what is to be sent
	ending           uint32         // why the stream has ended, if it has: endEOF or endGarbage
	sending          bool           // the kernel sends
	hasMore          bool           // the kernel gave all that there was room for
	blocked          bool           // the connection does not take what there is: the kernel waits for it
	broken           bool           // nothing can be sent any more
	told             bool           // Go knows of the end
	toCut, toFlush   bool           // is on that list
}

// streamBuffers is the memory of a stream. Of what comes there are two buffers, since the frames of one lie there until
// their round ends.
type streamBuffers struct {
	in  [2][streamInBytes]byte
	_   [8]byte // copyWords reads so far.
	out [streamOutBytes]byte
	_   [8]byte // And writes so far.
}

// flow is one peer of one allocation, admitted by the policy.
type flow struct {
	peer      endpoint // as it is on the wire
	announced endpoint // as clients know it
	relay     uint32   // socket
	next      uint32   // index+1 of the relay's next flow, or of the next free one
	channel   uint16   // 0 for none
	livePort  uint16   // the announced port of ours that has to be live; 0 for none
	liveSet   uint32
	nameLen   uint32
	name      [nameBytes]byte // the peer's sockaddr
}

// slot is one place of a hash table; index 0 is an empty one, others are one above what they stand for.
type slot struct{ hash, index uint32 }

// Commands to a loop.
const (
	commandAddSocket = iota + 1
	commandRemoveSocket
	commandAttach
	commandSetFlow
	commandRemovePeer
	commandRemoveFlows
	commandStop
	commandStart // to read a stream
	commandWrite // to a stream
)

// command is one change of a loop's tables.
type command struct {
	op     uint32
	socket uint32
	length uint32 // of commandWrite, whose bytes are in memory.writes
	lossy  bool   // commandWrite may lose them
	flow   flow
	entry  socket
}

// sinkRelays is the queue of what relays' sockets receive and the loop does not handle itself, sinkStreams of what
// streams do. Each listener has one of its own.
const (
	sinkRelays = iota
	sinkStreams
	firstSink // of listeners
)

// upRing carries packets from a loop to Go, one producer and one consumer.
type upRing struct {
	head, tail uint32
	_          [14]uint32
	waiting    uint32 // the consumer sleeps until the eventfd is written
	full       uint32 // packets dropped since there was no room
	entries    [upSlots]upEntry
}

type upEntry struct {
	socket, generation uint32
	from, local        endpoint
	length             uint32
	ending             uint32 // of a stream, instead of a frame
	payload            [bufferBytes]byte
}

// outgoing is a datagram that leaves when the round ends. Addresses are numbers: the loop must not store pointers.
type outgoing struct {
	fd           int32
	index        uint32 // of the relay it is counted for
	data, length uint64
	name         uint64
	nameLen      uint32
	controlLen   uint32 // 0, or the length of the control message that chooses the source address
	control      uint64
}

// message is what sendmsg needs to send a datagram from an address of ours, or several datagrams as one.
type message struct {
	header  msghdr
	control struct {
		source [controlBytes / 8]uint64 // struct cmsghdr with the source address, or what follows
		_      [3]uint64                // room for what follows: segmentSize
	}
}

// segmentSize is struct cmsghdr with the size of a segment.
type segmentSize struct {
	length      uint64
	level, kind int32
	size        uint16
	_           [3]uint16
}

// loop is the state of one loop. Its pointers are to memory outside the Go heap and are written before the loop runs.
type loop struct {
	ringFD, kickFD, epollFD int32
	upFD                    [maxSinks]int32
	uring                   bool   // io_uring, or epoll
	minBatch                uint32 // completions that end a wait early
	seed                    [3]uint64

	sqTail, cqHead, cqTail *uint32
	sqes                   *[sqEntries]kernel.SQE
	cqes                   *[cqEntries]kernel.CQE
	shared                 *shared
	drawn                  int64 // bytes drawn from the ceiling of the whole plane and not used
	pushed, submitted      uint32
	bufferTail, usedCount  uint32
	outgoing               uint32 // length of memory.out
	whole                  bool   // datagrams leave one by one

	freeFlow, flowTop uint32 // index+1 of a flow that was freed; flows that were ever used
	commandHead       uint32 // the loop's
	commandTail       uint32 // Go's
	stopped, kicked   bool
	freed             uint32 // sockets that the loop has let go of so far
	sleeping          uint32 // the loop waits, or is about to: a command needs a kick
	awake             uint32 // Go's: goroutines that serve a listener or the streams; each looks at freed after a packet
	signal            uint32 // bit set of the sinks that got something in this round
	now               uint64 // ns, read when a round has waited
	cuts, flushes     uint32 // lengths of memory.toCut and toFlush
	stalled           uint32 // a stream waits for room in the queue to Go, which is kicked for when there is
	unarmed           bool   // the kernel refused a request that something waits for; see rearm
	top               uint32 // one above the highest entry that the loop was given
	hurried           bool   // a stream has frames for the next round, which then does not wait
	answers           uint32 // completions that come with the next submission, of sends to streams
	challenge         challengeText
	challengeTurn     uint32 // of which it is a copy
	recvHeader        msghdr
	wait              waitArg
	kicks             uint64
	counters          Counters
}

// shared is what all loops look at. Go writes live, which tells for each set of announced addresses which ports are
// relays of ours, and the challenge; the loops take from the ceiling in lumps, so that they seldom meet there.
type shared struct {
	live      [livenessSets][1 << 16]uint32
	bandwidth bucket
	seed      [3]uint64 // of sources
	sources   [replyKinds]sourceLimit
	challenge struct {
		turn uint32 // odd while text is written; 0 before it was
		_    uint32
		text challengeText
	}
}

// challengeText is what a challenge is made of, and until when (ns) it is good.
type challengeText struct {
	until        uint64
	key          nonce.Key
	step, length uint32
	realm        [maxRealm]byte // of length, with zeroes behind
}

// maxRealm holds all but extravagant realms.
const maxRealm = 256

// livenessSets is one for each family of relay addresses.
const livenessSets = 2

// sourceLimit limits replies by source, /32 or /64. Sources share buckets by a keyed hash, so memory is fixed and no flood
// of spoofed sources refills one.
type sourceLimit struct {
	cost, burst uint64 // ns; cost 0 limits nothing
	full        [sourceBuckets]uint64
}

const sourceBuckets = 1 << 12
