// Package relay is TURN's data plane: ChannelData, Send and Data indications go from socket to socket in loops of its own,
// which also answer plain Binding requests and challenge who allocates without credentials; everything else is handed to
// whoever serves the listeners and relays.
//
// A [Plane] has a few [Loop]s, each on a thread of its own. A [Listener] is one loop's share of a listening address
// (SO_REUSEPORT: the kernel keeps a client to one of them), and a client's [Relay] is on the loop of its listener. What
// loops share is little and without a lock: which ports are relays of ours, the ceiling of the whole plane, what each
// source has had of replies, and the challenge (shared in state_linux.go). The package knows no rule of TURN: who may talk
// to whom is told by [Relay.Attach] and [Relay.SetFlow], and a packet without a [Flow] is somebody else's to judge. A
// client on plain TCP is a [Stream], where io_uring is; other streams (TLS, DTLS) are not for this package, and [Batches]
// is what they use.
//
// # Wildcard addresses
//
// A client takes no answer from another address than it asked, and the routing table knows nothing of that. So a
// listener on a wildcard address has the kernel tell the local address of each packet (IP_PKTINFO, IPV6_RECVPKTINFO).
// With it a client is looked up, and with it goes what is sent to the client, as the same control message; see
// hot_local_linux.go. A listener on one address has none of this. [Wildcard] is the same for sockets without a loop.
//
// # Without a Go processor
//
// A goroutine that returns from a system call must get a Go processor before it runs on, and that takes up to hundreds
// of milliseconds where the program's goroutines are busy. A loop never asks for one: between kernel.EnterSyscall and
// ExitSyscall (blocking_linux.go) its thread is, for all the scheduler can tell, in one long system call, and neither a
// busy program nor a collection delays a packet. What runs there (table_linux.go and the files named hot_*) must not
//
//   - grow its stack, so that every function is nosplit and the linker proves the depth;
//   - allocate, or touch the Go heap at all: everything is in [memory], which is mapped outside;
//   - store a pointer anywhere, since a store may need the processor's write barrier: addresses are kept as numbers;
//   - be instrumented for races, hence norace. Under the race detector the same functions run as an ordinary goroutine
//     (blocking_race_linux.go).
//
// A bug there ends the process, for there is nobody to recover. So every index is masked, lengths are checked against
// what was received, and TestTakeAnything feeds the whole of it.
//
// # How state changes
//
// The loop owns its tables. Go gives commands through a queue, which the loop empties after it has learnt of new packets
// and before it looks at them: what was commanded before a packet was sent holds for that packet. So a client's first
// ChannelData finds the channel whose success response it has read, and none passes that is sent after a channel, a
// permission or an allocation has ended. A socket's descriptor is closed when the loop has let go of it; generations
// tell the completions and packets of an index's former owner from those of the present one.
//
// # io_uring
//
// With Linux 6.1 a loop has one ring: multishot RECVMSG with a ring of buffers on every socket, and one io_uring_enter
// in a round, which submits the sends of the round before and waits. The payload stays where it was received; a header
// for the client is written into the room before it. Datagrams to one address leave as segments of one (UDP_SEGMENT),
// until a path refuses it. Where io_uring is refused, the same loop runs on epoll and recvmmsg.
//
// # Streams
//
// A stream's connection is taken over from package net (a duplicate of its descriptor, so that Go's poller no longer
// wakes for it) with its first permission or channel. One request at a time receives, into a buffer of the stream's own,
// and is made anew when all of that has been cut into frames: what Go's queue has no room for, or what could not be
// answered since the client does not read, waits on the client's side (TCP's flow control), and no request is lost. The
// next request to receive is submitted behind the datagrams that lie in the buffer.
//
// What goes to the client, from peers and from Go (a command with its bytes), is put behind what is being sent and
// leaves with the next request to send, one at a time. The first does not wait (MSG_DONTWAIT), so that its completion
// comes with its submission, and the round's wait is for one completion more than those. What the connection did not
// take is sent by a request that waits in the kernel. Behind [lossyFill] bytes packets of peers are dropped, as a full
// socket drops those for a client on UDP. Go closes a stream after the loop told it of the end, behind the last frame.
//
// `tourbillon bench turn --transport tcp --runs 3 --duration 2s --warm-up 1s --allocate 1500ms`, two virtual CPUs, CPU µs
// for a message there and back, medians: 25.4 (24.5–32.0), coturn 37.7 (31.7–44.2), plain pion 52.2 (49.8–58.0). With a
// goroutine for each direction it was 55, of which a quarter was Go's scheduler and poller.
//
// # What was measured and left out
//
// Two virtual CPUs, Linux 6.18, a loaded machine, medians of 3 to 7 interleaved runs; the figures are CPU µs for a
// message there and back at 50 × 200/s, of the same binary within one series.
//
//   - io_uring's least time to wait (IORING_ENTER_EXT_ARG, Linux 6.12) at 50 and 100 µs: 19.5 and 18.0 where waiting for
//     the first packet had 13.0; a timer for each wait costs more than the wakes that it spares, and it delays. It stays
//     as Options.MinWait.
//   - epoll instead of io_uring: 14.6 with one loop and 18.0 with two, where io_uring had 14.7 and 15.7.
//   - one loop instead of one for each CPU: 14.7 against 15.7, but two thirds of the throughput beside other load.
//   - a futex in place of the eventfd for the goroutines that take a loop's queue, so that their threads wait in the
//     kernel: 17,400 to 21,300 allocations a second in three series, where the eventfd had 19,300 to 20,800 (`bench turn
//     --arm tourbillon --runs 3 --duration 0s --warm-up 0s --allocate 1500ms`).
//   - a wait that is not accounted as one for input and output (IORING_ENTER_NO_IOWAIT, Linux 6.15): 21.4 where it was 21.6,
//     14 runs of each, 16.6 to 25.5 (`bench turn --arm tourbillon --runs 1 --duration 2s --warm-up 500ms --allocate 0s`).
//   - one sendmmsg for the answers that Go gives to what came together, 16 of them: 19,550 and 21,200 allocations a second
//     where one system call for each had 18,760 and 20,150 (medians of 12 and 10 runs, ranges of 16,100 to 24,400), but
//     19,900 with 8 and 19,700 with 32: less than what such series differ by (`bench turn --arm tourbillon --runs 1
//     --duration 0s --warm-up 0s --allocate 2s`).
//   - nice -5 for the loops' threads beside the shortest slice: no shorter round trips, 0.81 to 1.43 of plain pion's in four
//     of five series, where the slice alone had 0.24 to 0.71 (`bench stun --arm tourbillon,pion --runs 3`, of 2 and 2.5 s).
//   - UDP_GRO on the way in: needs buffers of 64 KiB for every packet, and clients of one server seldom send several
//     packets in a row.
package relay
