// Package client speaks tourbillon.v1, as package signaling documents it, for programs: it joins a room, answers the
// server's heartbeats, and comes back by itself after every loss of the server, with nothing missed and nothing twice
// where its session still stands.
//
// It is not an ICE agent: offers, answers and candidates are handed on as they come.
//
//	room, err := client.Join(ctx, "ws://127.0.0.1:8080/ws", client.Options{Room: "demo", Name: "probe"})
//	…
//	for event := range room.Events() {
//		switch e := event.(type) {
//		case client.Message:
//			…
//
// # Where things are
//
// [Join] makes a [Room] (room.go), whose one goroutine opens a link after the other (run.go). A link (link.go) is one
// WebSocket, and the only code that knows the library. What is sent gets numbers and is kept until the server is known to
// have it (outbox.go); what comes is decoded by wire.go, handed out as an [Event] (event.go).
package client
