// Package bench is `tourbillon bench turn`: it measures what relaying costs, this server beside plain pion and coturn.
//
// # How to read the figures
//
// A row is one arm in one run. A message goes from a client through its channel and its relay to a peer, which sends it
// back: four packets at the server. CPU time is user and system time of the server's whole process as the kernel's
// scheduler counts it, in the window alone. Absolute figures belong to the machine and to what else it does; what
// carries over is the ratio of two arms within a run. Loss counts what has not come back half a second after the window.
// Added jitter is the 99th percentile of the difference between consecutive round trips of a client, less the same
// without a relay in between, so that the generator's own part falls out; it can be negative where the machine was
// busier during the one than the other.
//
// # A server that runs already
//
// With --server the echo is at the address of this host from which the server is reached; the server has to relay there
// (turn.allow_peers). A server on loopback relays to nobody on it but its own relays, so that the echo is a client then,
// with an allocation of its own: a message is eight packets at the server instead of four, two of them indications, and
// such figures compare with each other alone. Where nothing comes back the command fails and says why.
//
// # How the arms are kept fair
//
// Each arm is a process of its own, started anew for each run, and the arms take turns. The clients' phases are
// independent, from a fixed seed: no arm gains by a burst that only a benchmark sends. Our arm is what serve has, policy
// and counters on and a Go processor more than CPUs, with limits off as `--set limits=off` has it on loopback; the echo is
// admitted as one of our own ICE sockets would be, and judged like any peer. plain pion is from the binary in which pion
// is as published, where that lies beside this one, with pion's default handlers: it judges and counts nothing. coturn's
// command line is printed.
//
// # Where things are
//
// bench_linux.go is the command, options.go its options, suite.go the bounds that the relay is to reach. arms_linux.go
// starts servers, serve.go is what a server of ours does, child.go tells both kinds of child apart. generate_linux.go is
// the load generator for UDP: dialogue_linux.go sets clients up by the sessions of session.go, traffic_linux.go is the
// steady state, mmsg_linux.go what makes it cheap. stream_linux.go is the generator for TCP and TLS,
// echo_linux.go the echo of both where it is a client.
package bench
