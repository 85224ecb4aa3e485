// Package peerjs serves the npm package peerjs, version 1.5, unchanged: it hands out ids and carries offers, answers
// and candidates between the clients of `new Peer({host, port, path: '/'})`.
//
// It is not for rooms (package signaling) and not for media, which goes between the peers or through package turn.
//
// # HTTP
//
// All paths begin with Config.Prefix, "/" unless set otherwise; KEY is Config.Key, "peerjs" unless set otherwise.
//
//	GET /KEY/id      an id that nobody has: a UUID of version 4 as bare text
//	GET /KEY/peers   the ids of all clients as a JSON array, or 401 unless Config.Discovery
//	GET /KEY/ice     ICE servers of ours with fresh credentials: {"iceServers":[…],"ttl":300}
//	GET /peerjs?key=KEY&id=ID&token=TOKEN&version=1.5.5    the WebSocket
//
// The peerjs package asks for an id and opens the WebSocket by itself. ICE servers it only takes from the page:
//
//	const { iceServers } = await (await fetch('https://HOST/peerjs/ice')).json();
//	const peer = new Peer({ host: 'HOST', port: 443, path: '/', secure: true, config: { iceServers } });
//
// # The WebSocket
//
// One JSON object per text frame. TOKEN is what proves the id when the same client comes back; the package makes a
// random one unless the page gives it `token`. Unless Config.Open it has to be a join token of this server (package
// signaling), one for each user, since who has a user's token can take over that user's id.
//
//	← {"type":"OPEN"}                                                   the id is yours
//	← {"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}               the id is another's
//	← {"type":"ERROR","payload":{"msg":"Invalid key provided"}}         and the connection closes
//	→ {"type":"HEARTBEAT"}                                              every five seconds; unanswered
//	→ {"type":"OFFER","dst":"bob","payload":{"sdp":{"type":"offer","sdp":"v=0…"},"type":"data","connectionId":"dc_1"}}
//	→ {"type":"ANSWER","dst":"ada","payload":{"sdp":{"type":"answer","sdp":"v=0…"},"type":"data","connectionId":"dc_1"}}
//	→ {"type":"CANDIDATE","dst":"bob","payload":{"candidate":{"candidate":"candidate:…"},"type":"data","connectionId":"dc_1"}}
//	← {"type":"OFFER","src":"ada","dst":"bob","payload":{"sdp":{"type":"offer","sdp":"v=0…"},"type":"data","connectionId":"dc_1"}}
//	→ {"type":"LEAVE"}                                                  gives the id up
//	→ {"type":"LEAVE","dst":"bob"}                                      is passed on to bob
//	← {"type":"LEAVE","src":"bob","dst":"ada"}                          bob cannot be reached any more
//	← {"type":"EXPIRE","src":"bob","dst":"ada"}                         bob did not come within Limits.Wait
//
// The server says who sent a message, whatever the client wrote, and looks at no payload. What goes to an id that
// nobody has yet waits for it. A second connection with the id and token of the first takes its place and is told OPEN,
// as after a reconnect; the first is closed with 4001. Types that the server does not know are dropped, since later
// clients may send them; types that only the server may send, and all that is malformed, close the connection.
//
// # Where things are
//
// [New] makes a [Server] (server.go), [Server.Register] mounts it (handler.go). What a request must satisfy is in
// access.go. A connection (conn.go) sends through a bounded queue (sender.go) over a socket (socket.go), which package
// signaling/socket reads and writes. A message is judged by message.go. Who has which id and what waits for whom is the registry
// (registry.go, mailbox.go), a pure state machine whose answers are values that the server carries out.
//
// Locks are taken in the order server, connection; neither is held over I/O.
package peerjs
