// Package timing is the injected high-resolution clock on which every protocol timer of Tourbillon runs.
//
// It holds the [Clock] interface, its implementations ([Engine], which sleeps on a kernel hrtimer, and [Runtime],
// which is package time), periodic work on an absolute grid ([Every]), the round-trip mathematics that heartbeats
// and retransmissions need ([RTT]) and the [Meter] that records how late each timer was. Package
// timing/timingtest holds the manual clock for tests and the conformance suite that every Clock passes.
//
// It is not a replacement for package time's durations and wall-clock dates; those are used everywhere as they are.
//
// # Where a timer fires
//
// [Engine.At] makes a timer (engine_timer.go) and puts it into the queue (queue.go). The kernel's waker
// (waker_linux.go) is a timerfd at the earliest deadline, waited for through Go's poller by one goroutine, the watcher
// (watcher.go). Each near timer also has a package-time backstop, which calls backstopFired (backstop.go). Whoever comes first
// claims the timer by one compare-and-swap (claimDue in firing.go) and runs the callback. The reasons are in the
// documentation of [Engine].
//
// Datagrams that are prepared ahead leave by [Wire]: the kernel itself sends them at their instant (wire_linux.go), with
// no Go processor in between.
//
// # Figures
//
// `tourbillon bench timers --suite --runs 5 --duration 1500ms`, two shared virtual CPUs, Linux 6.18, Go 1.26.8, FIFO granted;
// the median of the ratios within each of five runs, their range in brackets. runtime is package time; runtime-send sends
// from its callback, wire by the kernel, both stamped by the receiver's kernel. The machine is shared: cyclictest, at
// real-time priority, was up to 0.16 ms late in that run and up to 3.9 ms in one two minutes later.
//
//	load       timers          hrtimer / runtime                              wire / runtime-send
//	idle       1000 × 100 ms   p50 0.020 (0.019–0.021), p99 0.058 (0.042–0.25)
//	idle       1 × 10 ms       p99 0.82 (0.047–1.3)                           p99 0.69 (0.14–0.97)
//	server-50  50 × 20 ms      p99 0.011 (0.007–0.027)                        p99 0.0002 (0.00005–0.0006)
//	server-2   50 × 20 ms      p50 0.33 (0.31–0.39), p99 0.34 (0.22–0.41)     p99 0.014 (0.006–0.22)
//	busy       50 × 20 ms      p99 0.50 (0.32–0.56)                           p99 0.0044 (0.0006–0.054)
//	gc         50 × 20 ms      p99 0.45 (0.35–0.75)                           p99 0.061 (0.002–0.23)
//	CPU        1000 × 100 ms   1.6 (1.4–1.8); 1.1 (0.98–1.2) with 250 µs of slack, 0.67 (0.64–0.72) with 1 ms
//
// The same without FIFO (`--rt off`) in another hour, cyclictest up to 4.2 ms late as an ordinary thread. Only the wire asks for
// FIFO. Without it the kernel sends in time unless its thread finds both CPUs taken and waits for the end of a slice,
// about 3 ms; asking for the shortest slice brings the wire's p99 under the collector from 3.9–6.1 ms to 3.3–4.0 in
// three pairs of runs, and changes nothing under spinning goroutines.
//
//	load       timers          hrtimer / runtime                              wire / runtime-send
//	idle       1000 × 100 ms   p50 0.019 (0.018–0.022), p99 0.051 (0.017–0.19)
//	idle       1 × 10 ms       p99 0.29 (0.16–2.8)                            p99 0.067 (0.055–0.69)
//	server-50  50 × 20 ms      p99 0.008 (0.005–0.025)                        p99 0.008 (0.003–0.015)
//	server-2   50 × 20 ms      p50 0.32 (0.29–0.36), p99 0.31 (0.14–0.39)     p99 0.62 (0.52–0.76)
//	busy       50 × 20 ms      p99 0.57 (0.48–0.58)                           p99 0.083 (0.054–0.099)
//	gc         50 × 20 ms      p99 0.40 (0.39–0.67)                           p99 0.19 (0.16–0.29)
//	CPU        1000 × 100 ms   1.5 (1.4–1.7); 1.0 (0.88–1.1) with 250 µs of slack, 0.67 (0.62–0.77) with 1 ms
//
// To arm and cancel one timer beside 100,000 pending ones takes 56 ns (package time 123), at 8 goroutines 30 (78), without
// an allocation: `go test -run '^$' -bench ArmCancel ./timing`. `bench timers --soak 10m`: 86 million armings, none lost.
//
// Precision is paid for in wakes: package time serves 10,000 firings a second in 1,000 wakes, the engine in one for
// each. One of the engine's wakes is the cheaper: package time's hands the poller to another thread, and starts a goroutine for
// each callback. Both arms run with one Go processor more than CPUs, as serve does ([AddProcessor]): under a busy
// collector all others are taken.
//
// What did not help, in throw-away sketches: a thread of our own with SCHED_FIFO that sleeps in epoll_wait. It has a CPU
// at once but waits for a Go processor, and keeps one from the program, with all that is queued there, each time it goes
// back to sleep. One package-time backstop for all timers: a goroutine that loses its processor between taking it and
// setting it again stops the clock until it runs again. Starting all due callbacks side by side while busy: each new
// goroutine pushes the one before behind the program's. A goroutine for each callback while idle: it wakes another
// processor, which cost twice the CPU time. Package time as the only waker of wide slack classes: setting a timer that is
// the next to fire wakes a second thread, which cost more than the timerfd.
//
// # Rules that hold for every Clock
//
//   - A timer never fires before its deadline, as read from the same clock's Now.
//   - Stop reports true exactly when the callback will not run; of "Stop returned true" and "the callback ran",
//     exactly one happens for each arming.
//   - Deadlines saturate: a duration of math.MaxInt64 parks a timer for ever, it never wraps into the past.
//   - Zero, negative and past deadlines fire once, promptly.
//   - No callback runs with a lock of the clock held, so a callback may call the clock.
package timing
