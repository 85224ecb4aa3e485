// Package signaling lets browsers and other clients find each other: rooms, presence, and the relay of offers,
// answers, candidates and messages between the peers of a room over WebSocket.
//
// It is not for media (that goes between the peers, or through package turn) and not for ICE itself.
//
// # The protocol tourbillon.v1
//
// One WebSocket at /ws, subprotocol "tourbillon.v1", one JSON object per text frame, at most 64 KiB. Unknown fields
// are ignored; an unknown type is answered with an error and the connection goes on. Durations are milliseconds.
// Any message of a client may carry an "id", a text of its choice of at most 64 bytes: an error about the message
// repeats it as "re".
//
// # Opening
//
// A client that says hello first has a session: its seat in the room outlives a dropped socket by seat_ms, and it
// can resume. It need not wait for the welcome. Without hello a seat ends with its socket.
//
// "class" is "browser" (the default) or "native": the operator sets the heartbeat of each class. "heartbeat_ms" asks
// for another interval; the server grants the nearest one within its bounds.
//
//	→ {"type":"hello","client":"tourbillon-go/1","class":"native","heartbeat_ms":100}
//	← {"type":"welcome","server":"b1946ac92492","heartbeat_ms":100,"seat_ms":30000,
//	   "limits":{"message_bytes":65536,"sdp_bytes":32768,"data_bytes":16384,"messages_per_s":20,"burst":60}}
//
// Then it joins a room. "session" is what an earlier "joined" or "resumed" gave: it reclaims that peer id, also from a
// server that was restarted since, and stands for the token, which is needed otherwise unless rooms are open.
// "metadata" is any JSON object of at most 4 KiB, which the others are shown.
//
//	→ {"type":"join","id":"1","room":"demo","name":"Ada","metadata":{"hand":false},"token":"eyJ…","session":"c2Vz…"}
//	← {"type":"joined","room":"demo","peer":"7kq2m0x4c1","session":"c2Vz…","server":"b1946ac92492",
//	   "can":["join","publish","restart"],"paths":true,
//	   "peers":[{"id":"p9w1x8e2zz","name":"Bob","metadata":{"hand":true},"polite":true,"away":true}],
//	   "ice_servers":[{"urls":["turn:127.0.0.1:3478?transport=udp"],"username":"1735412345:7kq2m0x4c1","credential":"…"}],
//	   "ice_ttl_ms":300000,"heartbeat_ms":1000,"seat_ms":30000}
//
// "server" names the running process; when it differs from the one seen before, the server was restarted and relayed
// paths are gone. In "peers" (and in "peer-joined") "polite" is the receiver's own role towards that peer in perfect
// negotiation: of each pair exactly one is polite, the one that joined later. The newcomer makes the offer. "away" is
// left out unless true. "can" lists what the client may do: "join" is to be there and to negotiate, "publish" to send
// messages and to change what the others are shown, "restart" to ask peers for an ICE restart. "paths" is true where the
// server looks after connections (see Paths), and left out where it does not.
//
// # Sessions
//
// In a session, what the server tells of the room carries a number "n": 1, 2, 3 … from each "joined" on, without a
// gap. A client whose socket dropped opens another, says hello, and resumes with the latest session and the last number
// that it has seen. It gets all that followed, with the old numbers, after "resumed". A session serves once: "resumed"
// has the next one; the one before stays good until a pong has come on the connection.
//
//	→ {"type":"resume","session":"c2Vz…","last":41}
//	← {"type":"resumed","room":"demo","peer":"7kq2m0x4c1","session":"bmV4…","server":"b1946ac92492",
//	   "can":["join","publish","restart"],"got":8,"replayed":3,
//	   "ice_servers":[{"urls":["stun:127.0.0.1:3478"]}],"ice_ttl_ms":300000,"heartbeat_ms":100,"seat_ms":30000}
//
// A client may number its own messages likewise, 1, 2, 3 … from each "joined" on, in "n". "got" is the last number that
// the server has seen: what came after it got lost and is to be sent again; what is sent twice is passed over.
//
// A resume is refused with session-unknown when the seat is given up or the server was restarted, with session-used
// when the session was resumed before, with bad-session when it is none of this server, and with replay-lost when too
// much was missed to be kept. After any of these the client joins on the same connection.
//
// A second connection with the same session takes the seat over; the first is closed with 4001.
//
// # Presence
//
//	← {"type":"peer-joined","n":1,"peer":{"id":"p9w1x8e2zz","name":"Bob","polite":false}}
//	← {"type":"peer-left","n":2,"peer":"p9w1x8e2zz","reason":"left"}      left · closed · timeout · replaced · slow · shutdown
//
// A peer whose socket dropped is away until it resumes or its seat is given up, at most seat_ms later. Its calls go on:
// they do not pass through here. What it is sent waits for it.
//
//	← {"type":"peer-away","n":3,"peer":"p9w1x8e2zz","reason":"closed","seat_ms":30000}
//	← {"type":"peer-back","n":4,"peer":"p9w1x8e2zz"}
//
// Metadata is replaced as a whole; a name or metadata that is left out stays.
//
//	→ {"type":"update","name":"Ada L.","metadata":{"hand":true}}
//	← {"type":"peer-updated","n":5,"peer":"7kq2m0x4c1","name":"Ada L.","metadata":{"hand":true}}
//
// # Negotiation
//
// Offers, answers and candidates go to one peer of the room. The server replaces "to" by "from" and looks at nothing
// else; a null candidate is the end of candidates.
//
//	→ {"type":"offer","to":"p9w1x8e2zz","sdp":"v=0…"}
//	← {"type":"offer","n":6,"from":"7kq2m0x4c1","sdp":"v=0…"}
//	→ {"type":"answer","to":"7kq2m0x4c1","sdp":"v=0…"}
//	← {"type":"answer","n":7,"from":"p9w1x8e2zz","sdp":"v=0…"}
//	→ {"type":"candidate","to":"7kq2m0x4c1","candidate":{"candidate":"candidate:…","sdpMid":"0","sdpMLineIndex":0}}
//	→ {"type":"candidate","n":8,"to":"7kq2m0x4c1","candidate":null}
//	← {"type":"candidate","n":8,"from":"p9w1x8e2zz","candidate":null}
//
// A restart asks the peer to make an offer with an ICE restart, when this end cannot or should not make it.
//
//	→ {"type":"restart","to":"p9w1x8e2zz","reason":"failed"}
//	← {"type":"restart","n":9,"from":"7kq2m0x4c1","reason":"failed"}
//
// The appliance itself is a peer of every room, though in no list: an offer to "@appliance" is answered by its agent,
// with data channels "echo" and "measure". It asks for restarts and never makes an offer. The call ends when the peer has
// left the room or its seat was given up.
//
//	→ {"type":"offer","to":"@appliance","sdp":"v=0…"}
//	← {"type":"answer","n":10,"from":"@appliance","sdp":"v=0…"}
//	← {"type":"restart","n":11,"from":"@appliance","reason":"relay/udp"}
//
// ICE servers carry time-limited credentials. The server sends fresh ones before the old ones run out; a client that
// needs them sooner asks.
//
//	→ {"type":"ice-servers"}
//	← {"type":"ice-servers","ice_servers":[{"urls":["stun:127.0.0.1:3478"]}],"ice_ttl_ms":300000}
//
// # Paths
//
// Where "paths" is true the server decides who of two peers restarts their connection, when, and over which route. A
// client reports each change of its connection to a peer and of the way its packets take, and after it came back how it
// stands now. "state" is "gathering", "checking", "connected", "disconnected" (nothing comes), "failed" (it will not come
// back) or "restarting" (an ICE restart has begun here, asked for or not). With "connected" goes "via", "direct" or "relay", and the
// "transport" to this end's relay, "udp", "tcp" or "tls"; either may be left out, and so may "stats".
//
//	→ {"type":"stats","to":"p9w1x8e2zz","state":"connected","via":"relay","transport":"udp"}
//	→ {"type":"stats","to":"p9w1x8e2zz","state":"failed"}
//
// What the server makes of it is told to the sides that report: "state" is "gathering", "checking", "connected",
// "faltering", "consent-lost" (a side was asked to restart, or will be), "restarting" or "failed". "next_ms" is when the
// server goes on by itself; until then, and for some seconds more, a client need not act by itself. Once it has "failed",
// with a "reason", nobody is asked any more, unless the connection comes back.
//
//	← {"type":"path","n":13,"peer":"p9w1x8e2zz","state":"consent-lost","route":"relay/udp","attempt":2,"next_ms":10000}
//	← {"type":"path","n":14,"peer":"p9w1x8e2zz","state":"failed","route":"relay/tls","attempt":8,"reason":"no restart worked"}
//
// A "restart" with a "route" is the server's: of each pair it asks the impolite side alone. The client is to make an
// offer with an ICE restart, gathering with these fresh ICE servers: all of them for "direct", else through a relay by
// that transport only. A client that knows no routes restarts as if the peer had asked.
//
//	← {"type":"restart","n":15,"from":"p9w1x8e2zz","reason":"failed","route":"relay/tcp",
//	   "ice_servers":[{"urls":["turn:127.0.0.1:3478?transport=tcp"],"username":"1735412345:7kq2m0x4c1","credential":"…"}],
//	   "ice_ttl_ms":300000}
//
// # Messages
//
// "data" is any JSON value of at most 16 KiB. With "to" it goes to one peer, and carries "direct"; without, to all
// others in the room. The sender gets no copy.
//
//	→ {"type":"message","id":"m7","data":{"chat":"hello"}}
//	← {"type":"message","n":10,"from":"7kq2m0x4c1","data":{"chat":"hello"}}
//	→ {"type":"message","to":"p9w1x8e2zz","data":"psst"}
//	← {"type":"message","n":11,"from":"7kq2m0x4c1","direct":true,"data":"psst"}
//
// A client may report what it measured, as a JSON object of at most 4 KiB; the operator is shown the latest.
//
//	→ {"type":"stats","stats":{"p9w1x8e2zz":{"rtt_ms":12,"lost":0}}}
//
// # Heartbeat
//
// The server sends a ping on an absolute grid of heartbeat_ms, the client answers each at once with its number. Three
// missed ones, and at least 250 ms of silence, end the connection on either side. "rtt_us" is what the server measured
// before. "last" is the last number that a client with a session has seen: the server need not keep what came before.
//
//	← {"type":"ping","seq":17,"rtt_us":412,"got":8}
//	→ {"type":"pong","seq":17,"last":41}
//
// The client may ask for another interval at any time, and the operator may set one: the server tells what holds.
//
//	→ {"type":"heartbeat","heartbeat_ms":250}
//	← {"type":"heartbeat","heartbeat_ms":250}
//
// # The end
//
// Leaving, and the server's notice before it stops. The connection works on for closing_in_ms; the client comes back
// retry_after_ms after its end.
//
//	→ {"type":"leave"}
//	← {"type":"bye","reason":"shutdown","closing_in_ms":120,"retry_after_ms":500}
//
// Errors name what is wrong and what would be right. With "fatal" the server closes the connection.
//
//	← {"type":"error","re":"m7","code":"unknown-peer","message":"no peer \"x\" in this room","remedy":"address a peer from \"joined\" or \"peer-joined\"","fatal":false}
//
// Codes: bad-message, too-large, unknown-type, not-joined, already-joined, bad-room, bad-token, token-required,
// token-full, not-allowed, room-full, unknown-peer, rate-limited, slow-consumer, join-timeout, bad-session,
// session-used, session-unknown, replay-lost, draining, call-refused, call-ended.
//
// The last two are of "@appliance". A call-ended comes unasked: when a bound of the call is reached, or no route is left.
// A call-refused without "re" is of an offer that was found wrong after it was queued, and a call that stood before goes
// on; or of one whose call ended before it was taken, which is to be sent again.
// Such errors have a number, as all that must not be lost.
//
//	← {"type":"error","n":11,"code":"call-ended","message":"@appliance has ended the call: …","remedy":"call again; who operates the server sets agents.idle","fatal":false}
//
// The close frame's code: 1000 after "leave", 1008 after a fatal error and on a missed heartbeat (reason "timeout"),
// 1009 after a message over the limit, 1011 after a fault of the server, 1012 after "bye", 1013 after slow-consumer,
// and 4001 (reason "replaced") when the session was taken up elsewhere: a client must not come back after that one by
// itself, or two windows would take the peer from each other for ever.
//
// # Tokens
//
// A join token is a JSON Web Token signed with HS256 or EdDSA, for "aud" "tourbillon", with "exp". "room" is the room
// that it opens, or "*". "can" lists what it allows; left out, ["join"]. It lives at most 10 minutes, or with
// "invite" true as long as the operator allows: it is needed at the first join only, from which the session goes on.
// With "once" true it serves one join, and "jti" has to tell it apart.
//
// # Where things are
//
// [New] makes a [Server] (server.go), [Server.Register] mounts it (handler.go). A request passes the host and origin
// checks (origin.go) and the limits per address (admission.go) and becomes a connection (conn.go) with a queue
// (queue.go) and timers (pulse.go) over a socket (socket.go), which package signaling/socket reads and writes. What the
// client sends is decoded by decode.go into what message.go declares, judged by dispatch.go, and turned into events for
// a room; hello, join and resume are enter.go, and who may do so authorise.go. Whoever queues a message sends it, once
// the locks are free, as far as the network takes it without waiting. A room (room.go, its paths pair.go) is a pure
// state machine whose events and answers are the values of effect.go; the hub (hub.go) owns
// all rooms and seats (seat.go, replay.go), gives seats to connections (seating.go) and carries those answers out
// (carry.go, for paths follow.go; what decides over them is declared in path.go). Beats and round trips are
// heartbeat.go, their intervals class.go, tokens token.go, keyring.go and spent.go, the proof by which a peer gets its
// seat back session.go, the refusals errors.go.
//
// Locks are taken in the order hub, seat, connection; none is held over I/O or over a call that may block.
package signaling
