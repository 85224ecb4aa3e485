// Package turn is Tourbillon's STUN and TURN server (RFC 8489, RFC 8656) over UDP, TCP, TLS and DTLS, for IPv4 and IPv6.
//
// [Listen] binds what a [Config] names and serves until [Server.Close]. The package is not a TURN client, and it reads no
// configuration file.
//
// # Where things happen, in the order of a packet's way
//
//   - A datagram enters in [udpListener.run] (listener_udp.go). inspect drops what is neither STUN nor ChannelData
//     (classify, inspect.go). On a wildcard address the listener also learns to which address of this host the datagram
//     came (local.go): that is part of the client's 5-tuple, and all that goes to the client leaves from there.
//   - A TCP, TLS or DTLS connection enters in [streamListener.run] (listener_stream.go) past the count of strangers
//     (gate.go); its frames enter in [streamConn.serve] (stream_conn.go), one per read. For DTLS, [demux] makes
//     connections of one socket's datagrams (listener_dtls.go). A plain TCP connection is handed to a loop of package
//     relay with its first permission or channel (stream_loop.go); what that does not handle enters in [streamConn.Frame],
//     one frame of all the loop's connections after the other, and all that goes to the client leaves by the loop.
//   - [transaction.take] (control.go) serves a packet to its end: message.decode (message.go) reads it, authenticate checks
//     the nonce (nonces.go, package nonce), the user name (keyring.judge and [ParseUsername]: keyring.go, credentials.go)
//     and MESSAGE-INTEGRITY under each secret (keyring.verify), and requests.go has a method for each of STUN's.
//   - Transport, address family, drain and quotas are asked in transaction.make: quota.reserve (quota.go), under the lock of
//     the table.
//   - An allocation's socket is made in relays.allocate (relay.go, relay_end.go), at a port from crypto/rand.
//   - An allocation is an [entry] (entry.go) of one table (allocations.go): its permissions, channels, lifetimes with one
//     timer for all of them, and its limits.
//   - A peer is judged three times by one pure [Policy] (policy.go; encodings in policy_canonical.go, lists in
//     policy_tables.go, the host's own addresses in policy_host.go, kept up to date by host_policy.go): in
//     transaction.admit, by address when a permission is asked for and by address and port for a channel, then by address
//     and port for each packet in relayConn.WriteTo, and again in relayConn.admitFrom (relay_conn.go). Both ask for the
//     permission first, without which no channel relays.
//   - Each packet of a relay is held to the ceilings of its allocation and of the server (flow.admit, ceiling.go).
//   - Over UDP, and over TCP where there is io_uring, the sockets are read by the loops of package relay. ChannelData,
//     plain Send indications and packets of peers that have a flow go from socket to socket there. Over UDP plain Binding
//     requests are answered, too, and Allocates without credentials, with a challenge (core.lendChallenge). All else comes
//     up as above. fastPath (fast.go) installs a flow when the policy admits a peer that has been granted, and removes
//     it with channel, permission, allocation or policy, so that a cached verdict never outlives its reasons. Whether a
//     relay of ours is live is looked up for each packet.
//   - Over TLS, and over TCP without io_uring, ChannelData goes between stream and socket in stream_relay.go, each packet
//     judged.
//   - A client on TCP that does not read loses packets of its peers (slow-client) beyond what the kernel and the loop keep
//     for it; requests it makes beyond what could be answered wait on its own side.
//   - Elsewhere, and where the data plane cannot run, a client's packet goes through transaction.channelData or indication
//     and relayConn.WriteTo, a peer's through relayConn.pump, or Packet where a loop reads, and entry.toClient.
//   - Answers leave through udpListener.reply or streamConn.reply, on a loop as a command to it. Over UDP core.admitReply
//     (core.go, throttle.go) withholds those that a spoofed source may have asked for; a source has one share, of which the
//     loops take as well.
//   - [Server.Allocations] copies the table (view.go) and [Server.Stats] the counters (stats.go, drops.go).
//   - [Server.Drain] refuses allocations and waits; everything ends in [Server.Close] (server.go): allocations,
//     connections, listeners, then the wait for every goroutine.
//
// # What can never be a peer
//
// Loopback, unspecified, link-local, metadata services, multicast, Teredo and 6to4, and this host's own addresses,
// gateways and resolvers, whatever AllowPeers says, in each of the six encodings of IPv4 in IPv6. The exceptions are by
// address and port: the relay of a live allocation of ours, and the sockets of our own ICE agents. The host's addresses
// are read anew every ten seconds, and each packet is judged by the policy then in force.
//
// # Errors
//
//	what is refused                                     code
//	no credential, unknown user, bad password, expired  401 with realm and nonce
//	nonce out of date                                   438 with a new one
//	channel number, peer, transport or lifetime         400
//	malformed; channel or peer bound otherwise
//	peer, or a channel's port, denied; CONNECT          403
//	(RFC 6062)
//	no allocation on this 5-tuple, or one too many      437
//	the allocation is another user's                    441
//	REQUESTED-ADDRESS-FAMILY that we lack               440
//	REQUESTED-TRANSPORT other than UDP                  442
//	peer of the other address family                    443
//	the user's or the source's quota                    486
//	all allocations taken, draining, no port or pair    508
//	of ports, a reservation that is none; peers,
//	channels or new peers above the allocation's limit
//
// Errors after authentication are signed (RFC 8489 9.2.4). An allocation that begins while the server drains is
// answered 508 and not 300, which must name another server, nor 486, which would blame the user.
//
// # Deviations from the RFCs
//
//	request                       answer              the RFC              why
//	DONT-FRAGMENT                 420; a Send         the same, where DF   the loops' sockets send without it
//	                              indication dropped  cannot be set
//	USERHASH, PASSWORD-ALGORITHM, 420                 the same, where      REST credentials are HMAC-SHA1, and no browser
//	MESSAGE-INTEGRITY-SHA256                          not offered          asks for more
//	ADDITIONAL-ADDRESS-FAMILY     one relay           two relays, or an    comprehension-optional; who wants both
//	                                                  ADDRESS-ERROR-CODE   allocates twice
//	channels 0x5000 to 0x7FFF     served              400                  RFC 5766 has them, and its clients are about
//
// An expired credential allocates no more, but what it allocated can be refreshed. Over UDP the replies to
// unauthenticated requests end after a source's share (security limits in [Limits]); over TCP, TLS and DTLS, where a
// source cannot be spoofed and silence would hang an honest client, strangers are bounded by number and time instead, and
// who has authenticated by the time without an allocation (silentLimit). A DTLS handshake takes memory from its first
// datagram, whose source can be spoofed: pion/dtls keeps a cookie in the connection's state. Its strangers are therefore
// counted apart from those of TCP and TLS, so that a flood costs new DTLS clients their door and nobody else. A
// ClientHello from a client that is there begins a second association beside the first, which takes its place when the
// handshake is done and not before (RFC 6347 4.2.8).
//
// # Design
//
// All times run on the injected [timing.Clock], nonces and lifetimes included, so that a step of the wall clock ends
// nothing. Credentials alone expire by the wall clock, which Config.Now is. Decisions (Policy, keyring, ParseUsername,
// quota, bucket, takeAt, lifetimeAsked) are pure functions of a state and a now, with no lock and no clock.
//
// Requests were pion/turn's to serve until its cost was measured. Among others it makes a map of the names of all
// attributes for each attribute that it looks at. It also kept a second table, with events to keep the first in step,
// answered otherwise than the RFCs in a dozen ways that had to be put right in what left, and held no lock between a
// request and the end of what the request was about. `tourbillon bench turn --runs 5 --duration 2s --warm-up 1s
// --allocate 1500ms`, two virtual CPUs shared with the clients, medians: 25,934 allocations a second (20,978–27,628),
// plain pion 7,532 (7,007–9,114), coturn 4.6.1 9,198 (8,646–10,803); CPU µs for each 49, 157 and 154. At a slower hour of
// that machine 19,421 and 18,699, and coturn 7,712 and 7,462 (`--arm tourbillon,coturn --duration 0s --warm-up 0s`).
//
// An allocation's mutex is held while the data plane is told of a change, so that it learns of changes in order, and a
// request finds the allocation alive for as long as it is served, or not at all. A loop's commands are given with one
// kick for all that a listener's burst of requests brings.
//
// A nonce holds the minute that it was made in and its proof, which is about the client's address and port too (RFC 8489
// 9.2.4), so that who sends from an address that is not his cannot authenticate from there. The loops make them as well.
//
// Ceilings are shared between cores by one compare-and-swap for each: what a loop relays and what goes past it for
// the same allocation take from one bucket (relay.Admit). The server's is drawn from in lumps of 16 KiB per loop, or per
// direction of an allocation outside the loops, so that its word is seldom touched.
//
// Errors that pass end no listener and no relay (backoff.go); a panic costs one packet, and a request is answered 500
// (transaction.survive).
package turn
