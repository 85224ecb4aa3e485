// Package bench is `tourbillon bench signaling`: one server process and one process that makes the load of many clients,
// for several servers in turn under the same load.
//
// # How to read the figures
//
// A row is one run of one arm. A round trip is a candidate from one client to its partner and the partner's answer: two
// messages through the server. msgs_per_s and cpu_ns_per_msg count both; the latter is the server's CPU time of the
// window, heartbeats and all, by message, so compare it at equal --conns, --rate and --heartbeat. Round trips are timed
// from the write of the request to the reading of the answer; requests leave on an absolute grid whatever the answers
// do, so a stall of the server is charged to every request that falls into it. hb_late is from the deadline of a ping
// to the return of its write in the server, and is null where the protocol has no ping of the server (PeerJS, whose
// clients beat). rss_bytes_per_conn is the resident memory that the server has gained since before the first connection,
// all of them open for --settle, heartbeats running and no message sent yet; nothing is forced to collect garbage first.
// connect_p99_ns is from connect(2) to the answer to the join; connectsAtOnce are under way at a time.
//
// Absolute figures belong to the machine; what carries over is the ratio of two arms of one run.
//
// # How the arms are kept fair
//
// The arms are interleaved over the runs. hrtimer and runtime are this very program as `serve` runs it, with limits=off,
// every listener on loopback; peerjs-server is the npm package peer with Node.js. The generator is one thread around
// epoll with frames made beforehand, so that it costs little beside the server. Both processes are told apart by the
// kernel's own clocks.
//
// # Where things are
//
// command.go is the command, options.go its options, trial.go one run, row.go its figures and text.go their table.
// server.go starts the servers and reads what the kernel says of them. generator*.go is the other process: client.go is
// one of its connections, frame.go its frames, dialect_*.go what it says. search.go looks for the most connections.
package bench
