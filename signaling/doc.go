// Package signaling lets browsers and other clients find each other: rooms, presence, and the relay of offers,
// answers and candidates between the peers of a room over WebSocket.
//
// It is not for media (that goes between the peers, or through package turn) and not for ICE itself.
//
// # The protocol tourbillon.v1
//
// One WebSocket at /ws, subprotocol "tourbillon.v1", one JSON object per text frame, at most 64 KiB. Unknown fields
// are ignored; an unknown type is answered with an error and the connection goes on. Durations are milliseconds.
//
// The client's first message joins a room. "session" is what an earlier "joined" gave: it reclaims that peer id, also
// from a server that was restarted since. "token" is needed unless rooms are open.
//
//	→ {"type":"join","room":"demo","name":"Ada","token":"eyJ…","session":"c2Vz…"}
//	← {"type":"joined","room":"demo","peer":"7kq2m0x4c1","session":"c2Vz…","server":"b1946ac92492",
//	   "peers":[{"id":"p9w1x8e2zz","name":"Bob","polite":true}],
//	   "ice_servers":[{"urls":["turn:127.0.0.1:3478?transport=udp"],"username":"1735412345:7kq2m0x4c1","credential":"…"}],
//	   "ice_ttl_ms":300000,"heartbeat_ms":1000}
//
// "server" names the running process; when it differs from the one seen before, the server was restarted and relayed
// paths are gone. In "peers" (and in "peer-joined") "polite" is the receiver's own role towards that peer in perfect
// negotiation: of each pair exactly one is polite, the one that joined later. The newcomer makes the offer.
//
//	← {"type":"peer-joined","peer":{"id":"p9w1x8e2zz","name":"Bob","polite":false}}
//	← {"type":"peer-left","peer":"p9w1x8e2zz","reason":"left"}      left · closed · timeout · replaced · slow · shutdown
//
// Offers, answers and candidates go to one peer of the room. The server replaces "to" by "from" and looks at nothing
// else; a null candidate is the end of candidates.
//
//	→ {"type":"offer","to":"p9w1x8e2zz","sdp":"v=0…"}
//	← {"type":"offer","from":"7kq2m0x4c1","sdp":"v=0…"}
//	→ {"type":"answer","to":"7kq2m0x4c1","sdp":"v=0…"}
//	→ {"type":"candidate","to":"7kq2m0x4c1","candidate":{"candidate":"candidate:…","sdpMid":"0","sdpMLineIndex":0}}
//
// ICE servers carry time-limited credentials. The server sends fresh ones before the old ones run out; a client that
// needs them sooner asks.
//
//	→ {"type":"ice-servers"}
//	← {"type":"ice-servers","ice_servers":[{"urls":["stun:127.0.0.1:3478"]}],"ice_ttl_ms":300000}
//
// Heartbeat: the server sends a ping on an absolute grid of heartbeat_ms, the client answers each at once with its
// number. Three missed ones end the connection on either side. "rtt_us" is what the server measured before.
//
//	← {"type":"ping","seq":17,"rtt_us":412}
//	→ {"type":"pong","seq":17}
//
// Leaving, and the server's farewell before it stops; a client comes back after retry_after_ms:
//
//	→ {"type":"leave"}
//	← {"type":"bye","reason":"shutdown","retry_after_ms":350}
//
// Errors name what is wrong and what would be right. With "fatal" the server closes the connection.
//
//	← {"type":"error","code":"unknown-peer","message":"no peer \"x\" in this room","remedy":"address a peer from \"joined\" or \"peer-joined\"","fatal":false}
//
// Codes: bad-message, too-large, unknown-type, not-joined, already-joined, bad-room, bad-token, token-required,
// room-full, unknown-peer, rate-limited, slow-consumer, join-timeout.
//
// The close frame's code: 1000 after "leave", 1008 after a fatal error and on a missed heartbeat (reason "timeout"),
// 1009 after a message over the limit, 1011 after a fault of the server, 1012 after "bye", 1013 after slow-consumer,
// and 4001 (reason "replaced") when the session was taken up elsewhere: a client must not come back after that one by
// itself, or two windows would take the peer from each other for ever.
//
// # Where things are
//
// [New] makes a [Server] (server.go), [Server.Register] mounts it (handler.go). A request passes the host and origin
// checks (origin.go) and the limits per address (admission.go) and becomes a connection (conn.go) over a socket
// (socket.go, the only file that knows the WebSocket library). What the client sends is decoded by message.go, judged
// by dispatch.go and turned into events for a room. A room (room.go) is a pure state machine whose answers are values;
// the hub (hub.go) owns all rooms and carries those answers out. Beats and round trips are heartbeat.go, tokens
// token.go, the proof by which a peer gets its id back session.go, the refusals errors.go.
//
// Locks are taken in the order hub, connection; neither is held over I/O or over a call that may block.
package signaling
