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
// [Engine.At] puts a timer in the queue (queue.go). The engine's own thread (engine_linux.go, func loop) sleeps in
// epoll_wait over a timerfd armed at the earliest deadline; when it wakes, [Engine] pops what is due (func expire)
// and runs each callback: on the thread for inline timers, on a goroutine of its own otherwise. A package-time
// backstop armed at the same deadline runs the same expire, because an idle program is served best by the thread
// and a busy one by package time, whose timers are looked at whenever a goroutine yields.
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
