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
// (waker_linux.go) is a timerfd at the earliest deadline, read through Go's poller; it calls fireFromKernel (engine.go).
// Each near timer also has a package-time backstop, which calls backstopFired. Whoever comes first claims the timer by
// one compare-and-swap and runs the callback. The reasons are in the documentation of [Engine].
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
