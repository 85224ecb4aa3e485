// Package turn is Tourbillon's STUN and TURN server (RFC 8489, RFC 8656) over UDP, TCP and TLS.
//
// [Listen] binds what a [Config] names and serves until [Server.Close]. pion/turn is the control plane (allocate,
// refresh, permissions, channels); every socket that it reads or writes is ours, and so are the rules. The package is
// not a TURN client, and it reads no configuration file.
//
// # Where things happen, in the order of a packet's way
//
//   - A datagram enters in [udpListener.ReadFrom] (listener_udp.go). inspect drops what is neither STUN nor ChannelData
//     (classify, inspect.go) and notes what pion's callbacks will not say (noteRequest).
//   - A TCP or TLS connection enters in [streamListener.run] (listener_stream.go) past the count of strangers (gate.go);
//     its frames enter in [streamConn.Read] (stream_conn.go), one per read.
//   - pion decodes the request, answers 401 or 438 where the nonce is missing or stale, and calls [control] (control.go),
//     one per listener.
//   - Credentials are checked in control.authenticate: the rules are keyring.judge (keyring.go) and [ParseUsername]
//     (credentials.go). pion then verifies MESSAGE-INTEGRITY with the key that we returned.
//   - The quota is asked in control.admitAllocation: quota.reserve (quota.go), under the lock of the table.
//   - An allocation's socket is made in relays.AllocatePacketConn (relay.go), at a port from crypto/rand.
//   - A peer is judged three times by one pure [Policy] (policy.go; encodings in policy_canonical.go, lists in
//     policy_tables.go, the host's own addresses in policy_host.go): by address in control.admitPeer when a permission or
//     channel is asked for, by address and port for each packet in relayConn.WriteTo, and again in relayConn.ReadFrom
//     (relay_conn.go).
//   - Over UDP the sockets are read by the loops of package relay. ChannelData, plain Send indications and packets of
//     peers that have a flow go from socket to socket there, and bare Binding requests are answered; all else comes to
//     pion as above. fastPath (fast.go) installs a flow when the policy admits a peer that pion has granted, and removes
//     it with channel, permission, allocation or policy, so that a cached verdict never outlives its reasons. Whether a
//     relay of ours is live is looked up for each packet.
//   - Over TCP and TLS ChannelData goes between stream and socket in stream_relay.go, each packet judged, without pion.
//   - Elsewhere, and where the data plane cannot run, ChannelData passes udpListener.ReadFrom or streamConn.Read, pion's
//     loop, which looks up allocation and channel, and relayConn.WriteTo; a peer's packet passes relayConn.ReadFrom,
//     pion's relay loop, and udpListener.WriteTo or streamConn.Write.
//   - Replies leave through udpListener.WriteTo, where core.admitReply (core.go, throttle.go) withholds those that a
//     spoofed source may have asked for.
//   - What exists is in one table that pion's events fill (control.events, allocations.go); [Server.Allocations] copies
//     it and [Server.Stats] the counters (stats.go).
//   - Everything ends in [Server.Close] (server.go): relays, connections, listeners, then the wait for every goroutine.
//
// # What can never be a peer
//
// Loopback, unspecified, link-local, metadata services, multicast, Teredo and 6to4, and this host's own addresses,
// gateways and resolvers, whatever AllowPeers says, in each of the six encodings of IPv4 in IPv6. The exceptions are by
// address and port: the relay of a live allocation of ours, and the sockets of our own ICE agents.
//
// # Deviations from the RFCs
//
//	request                                       answer          the RFC
//	REQUESTED-TRANSPORT TCP (RFC 6062)            508             442
//	CONNECT                                       447, no dial    403
//	EVEN-PORT                                     an even port    with R, the next port reserved too
//	RESERVATION-TOKEN                             508             the reserved port
//	REQUESTED-ADDRESS-FAMILY that we lack         508             440
//	unknown user, bad password, expired           400             401
//	ChannelBind to a denied peer                  401             403
//	request for no allocation                     silence         437
//	CreatePermission with several peers,          the earlier     none
//	a later one denied                            ones stay
//
// An expired credential allocates no more, but what it allocated can be refreshed. Over UDP the replies to
// unauthenticated requests end after a source's share (security limits in [Limits]); over TCP and TLS, where a source
// cannot be spoofed and silence would hang an honest client, strangers are bounded by number and time instead.
//
// # Design
//
// Times that matter to attackers and tests run on the injected [timing.Clock]; lifetimes of allocations, permissions
// and channels are pion's. Credentials expire by the wall clock, which Config.Now is. Decisions (Policy, keyring,
// ParseUsername, quota, bucket) are pure functions of a state and a now, with no lock and no clock.
//
// A listener answers one packet at a time, in pion's goroutine, so a note left by ReadFrom is read back by the callback
// that the same packet leads to. This is how a list of secrets works, although pion asks for one key before it verifies:
// the note says which secret the message verifies with.
//
// Errors that pass never reach pion, which would end a listener and all its allocations (backoff.go); panics in our
// frames are recovered and counted (core.survive). A panic in pion itself cannot be caught.
package turn
