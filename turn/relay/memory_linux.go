package relay

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of a loop's tables. The memory is reserved and becomes resident as it is used.
const (
	maxSockets   = 1 << 15
	maxStreams   = maxSockets / 2 // One in use has a relay beside it; those without leave room for clients on UDP.
	maxFlows     = 1 << 16
	tableSlots   = 2 * maxFlows // A power of two, and never more than half full.
	buffers      = 1 << 8       // A power of two.
	sqEntries    = 1 << 10
	cqEntries    = 1 << 12
	commandSlots = 1 << 10
	upSlots      = 1 << 8 // What comes in one round from clients that all begin at once has to fit; see TestABurstOfRequests.
	epollBatch   = 128
	kickSocket   = 0 // the entry of the eventfd
	maxSinks     = 16
	outSlots     = 2 * roundBatch // For each completion one, and as many for the frames of streams.
)

// Sizes of a stream's buffers and what may be in the one for what leaves. Packets of peers are lost beyond lossyFill.
// Beyond stallFill nothing more is taken from the client that Go would answer, so that the answers to what Go has taken
// already fit, of which there are at most streamSlots; above mostFill, which an honest client does not come to, those are
// lost too.
const (
	streamInBytes  = 16 << 10
	streamOutBytes = 64 << 10
	compactFrom    = 16 << 10 // Less than that stays empty before what is to be sent.
	lossyFill      = 24 << 10
	stallFill      = 28 << 10
	streamSlots    = 1 << 6 // What finds no room waits, so that there need not be more.
	mostFill       = streamOutBytes - compactFrom
	writeBytes     = 2048 // the longest write of Go's
)

// Layout of a buffer, which is what the kernel makes of IORING_OP_RECVMSG with IOSQE_BUFFER_SELECT: struct
// io_uring_recvmsg_out, room for the name, room for a control message, the payload. The room before the payload is where
// a header for the client is put once the name has been read: 4 bytes of ChannelData, or 48 of a Data indication.
const (
	outBytes     = 16
	nameBytes    = 32
	controlBytes = 40 // CMSG_SPACE of struct in6_pktinfo; of struct in_pktinfo it is 32.
	controlAt    = outBytes + nameBytes
	payloadAt    = controlAt + controlBytes
	bufferBytes  = 2048
	payloadBytes = bufferBytes - payloadAt - 8 // The rest is padding for a Data indication.
)

// recvmsgOut is struct io_uring_recvmsg_out.
type recvmsgOut struct{ nameLen, controlLen, payloadLen, flags uint32 }

// mapMemory returns zeroed memory that the Go runtime does not know. It is resident once touched.
func mapMemory(size uintptr) (unsafe.Pointer, []byte, error) {
	memory, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	return unsafe.Pointer(&memory[0]), memory, nil
}

// memory is everything that a loop works on, in one mapping outside the Go heap: the loop runs without a Go processor,
// so it must not depend on the collector. The fields up to the rings are written by Open alone.
type memory struct {
	ring     [buffers]ringBuffer // The kernel wants it at a page's begin.
	loop     loop
	sockets  [maxSockets]socket
	flows    [maxFlows]flow
	byPeer   [tableSlots]slot
	byClient [tableSlots]slot
	clients  [tableSlots]slot
	commands [commandSlots]command
	up       [maxSinks]upRing
	buffers  [buffers][bufferBytes]byte
	headers  [readBatch]mmsghdr
	vectors  [readBatch]vector
	used     [buffers]uint16
	events   [epollBatch]unix.EpollEvent
	out      [outSlots]outgoing
	pieces   [outSlots + maxSegments]vector // Those of one datagram lie in a row.
	messages [outSlots]message
	toCut    [maxSockets]uint32 // streams with something to be cut into frames
	toFlush  [maxSockets]uint32 // streams that are to send or to receive
	writes   [commandSlots][writeBytes]byte
	letGo    [maxSockets]uint32 // what the loop has freed, in that order; each is reaped before it is used anew
}
