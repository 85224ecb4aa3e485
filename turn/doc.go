// Package turn is Tourbillon's STUN and TURN server (RFC 8489, RFC 8656) over UDP, TCP, TLS and DTLS, for IPv4 and IPv6.
//
// [Listen] binds what a [Config] names and serves until [Server.Close]. pion/turn is the control plane (allocate,
// refresh, permissions, channels); every socket that it reads or writes is ours, and so are the rules. The package is
// not a TURN client, and it reads no configuration file.
//
// # Where things happen, in the order of a packet's way
//
//   - A datagram enters in [udpListener.ReadFrom] (listener_udp.go). inspect drops what is neither STUN nor ChannelData
//     (classify, inspect.go) and notes what pion's callbacks will not say (noteRequest, request.go). On a wildcard address
//     it also learns to which address of this host the datagram came (local.go): that is part of the client's 5-tuple, and
//     all that goes to the client leaves from there.
//   - A TCP, TLS or DTLS connection enters in [streamListener.run] (listener_stream.go) past the count of strangers
//     (gate.go); its frames enter in [streamConn.Read] (stream_conn.go), one per read. For DTLS, [demux] makes
//     connections of one socket's datagrams (listener_dtls.go).
//   - pion decodes the request, answers 401 or 438 where the nonce is missing or stale, and calls [control] (control.go),
//     one per listener.
//   - Credentials are checked in control.authenticate: the rules are keyring.judge (keyring.go) and [ParseUsername]
//     (credentials.go). pion then verifies MESSAGE-INTEGRITY with the key that we returned.
//   - Transport, address family, drain and quotas are asked in control.admitAllocation: quota.reserve (quota.go), under the
//     lock of the table.
//   - An allocation's socket is made in relays.AllocatePacketConn (relay.go, relay_end.go), at a port from crypto/rand.
//   - A peer is judged three times by one pure [Policy] (policy.go; encodings in policy_canonical.go, lists in
//     policy_tables.go, the host's own addresses in policy_host.go, kept up to date by host_policy.go): by address in
//     control.admitPeer when a permission or channel is asked for, by address and port for each packet in
//     relayConn.WriteTo, and again in relayConn.ReadFrom (relay_conn.go).
//   - Each packet of a relay is held to the ceilings of its allocation and of the server (flow.admit, ceiling.go).
//   - Over UDP the sockets are read by the loops of package relay. ChannelData, plain Send indications and packets of
//     peers that have a flow go from socket to socket there, and plain Binding requests are answered; all else comes to
//     pion as above. fastPath (fast.go) installs a flow when the policy admits a peer that pion has granted, and removes
//     it with channel, permission, allocation or policy, so that a cached verdict never outlives its reasons. Whether a
//     relay of ours is live is looked up for each packet.
//   - Over TCP and TLS ChannelData goes between stream and socket in stream_relay.go, each packet judged, without pion.
//   - Elsewhere, and where the data plane cannot run, ChannelData passes udpListener.ReadFrom or streamConn.Read, pion's
//     loop, which looks up allocation and channel, and relayConn.WriteTo; a peer's packet passes relayConn.ReadFrom,
//     pion's relay loop, and udpListener.WriteTo or streamConn.Write.
//   - Answers leave through udpListener.WriteTo or streamConn.Write, where request.correct (request.go) words them as the
//     RFC does; those to requests that pion leaves in silence are sent by settle, before the next packet is read. Over UDP
//     core.admitReply (core.go, throttle.go) then withholds those that a spoofed source may have asked for.
//   - What exists is in one table that pion's events fill (control.events, allocations.go); [Server.Allocations] copies
//     it (view.go) and [Server.Stats] the counters (stats.go, drops.go).
//   - [Server.Drain] refuses allocations and waits; everything ends in [Server.Close] (server.go): relays, connections,
//     listeners, then the wait for every goroutine.
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
//	channel number, peer or transport malformed         400
//	peer denied; CONNECT (RFC 6062)                     403
//	no allocation on this 5-tuple, or one too many      437
//	the allocation is another user's                    441
//	REQUESTED-ADDRESS-FAMILY that we lack               440
//	REQUESTED-TRANSPORT other than UDP                  442
//	peer of the other address family                    443
//	the user's or the source's quota                    486
//	all allocations taken, draining, no port; peers,    508
//	channels or new peers above the allocation's limit
//
// Errors after authentication are signed (RFC 8489 9.2.4). An allocation that begins while the server drains is
// answered 508 and not 300, which must name another server, nor 486, which would blame the user.
//
// # Deviations from the RFCs
//
//	request                       answer              the RFC              why
//	EVEN-PORT                     an even port, and   with R, the next     RTP without multiplexing alone wants it;
//	                              a token             port reserved too    a held port is a port less for others
//	RESERVATION-TOKEN             508                 the reserved port    as above
//	unknown comprehension-        420 before the      420 after it         pion decodes first; such answers are
//	required attribute            credential's check                       throttled like challenges
//	ADDITIONAL-ADDRESS-FAMILY     one relay           two relays, or an    pion does not know it; it is
//	                                                  ADDRESS-ERROR-CODE   comprehension-optional
//	LIFETIME above 3600 s         600 s               3600 s               pion takes its default; refreshes go on
//	LIFETIME below 600 s          as asked; 508 for   600 s                pion takes it as it is
//	                              0 in Allocate
//	channels 0x5000 to 0x7FFF     served              400                  RFC 5766 has them, and its clients are about
//
// An expired credential allocates no more, but what it allocated can be refreshed. Over UDP the replies to
// unauthenticated requests end after a source's share (security limits in [Limits]); over TCP, TLS and DTLS, where a
// source cannot be spoofed and silence would hang an honest client, strangers are bounded by number and time instead. A
// DTLS handshake takes memory from its first datagram, whose source can be spoofed: pion/dtls keeps a cookie in the
// connection's state. Its strangers are therefore counted apart from those of TCP and TLS, so that a flood costs new
// DTLS clients their door and nobody else.
//
// # Design
//
// Times that matter to attackers and tests run on the injected [timing.Clock]; lifetimes of allocations, permissions
// and channels are pion's. Credentials expire by the wall clock, which Config.Now is. Decisions (Policy, keyring,
// ParseUsername, quota, bucket, takeAt, request.correct) are pure functions of a state and a now, with no lock and no
// clock.
//
// A listener answers one packet at a time, in pion's goroutine, so a note left by ReadFrom is read back by the callback
// that the same packet leads to, and by the write of its answer. This is how a list of secrets works, although pion asks
// for one key before it verifies: the note says which secret the message verifies with. It is how answers are put right:
// callbacks leave in the note how far the request came and which code is due. pion remains the judge of nonces and of
// integrity: a challenge echoes the client's nonce only when pion has asked for the user, which it does for good nonces
// alone, and silence is broken only for requests that pion has verified. The relays' goroutines write to the same
// listener, but only Data indications and ChannelData, which no note is for.
//
// Ceilings are shared between cores by one compare-and-swap for each: what a loop relays and what pion relays for the
// same allocation take from one bucket (relay.Admit). The server's is drawn from in lumps of 16 KiB per loop, or per
// direction of an allocation outside the loops, so that its word is seldom touched.
//
// Errors that pass never reach pion, which would end a listener and all its allocations (backoff.go); panics in our
// frames are recovered and counted (core.survive). A panic in pion itself cannot be caught.
package turn
