// Package stdtime stands in for package time in modules that know no clock but package time's: the generator in
// timing/retime copies pion with `import "time"` turned into `import time "tourbillon/timing/stdtime"`, and every
// timer of pion then runs on the injected clock.
//
// It has package time's whole exported surface. Dates, durations and zones are package time's own, as aliases; timers
// and tickers are types of their own, so that a *time.Timer which leaks into code that was not re-timed does not
// compile. It is not for code of our own, which takes a [timing.Clock].
//
// # The process clock
//
// One clock serves the whole process, since the functions that it stands in for have no receiver to carry another.
// [Use] sets it once, before the first pion object is made; until then package time serves. Tests may swap it with
// [SwapForTest] while no timer is armed. A timer stays on the clock that it was made on.
//
// # Semantics
//
// Go 1.23's: no stale value is received after Stop or Reset returned, Stop reports true while a fire has not been
// received, and the value is the deadline's date, however late it is received. One conformance suite (package timingtest)
// holds package time itself and this package to that. These differences remain:
//
//   - A ticker, or a timer far ahead, that is dropped without Stop is not collected: the clock holds it. A dropped timer
//     goes when it has fired, a ticker never. Pion stops all of its tickers.
//   - cap(C) is 1 instead of 0, and len(C) is 1 while a fire is unread. A test holds that pion asks for neither.
//   - Sleep allocates what After does; package time's allocates nothing. In pion only commands and tests sleep.
//   - Local is package time's as it was at start; nobody may set it.
//
// # Labels and tiers
//
// Each timer records its lateness under the label of its call site, and runs on the tier that belongs to it: the table
// in sites.go, by function. The caller's program counter is looked up once per site. A function that makes several
// kinds of timers for its callers, as pion/sctp's does, is told apart by its calls.
//
// # Cost
//
// `go test -run '^$' -bench 'Ratio|Arm' -benchtime 200ms -count 3 ./timing/stdtime`, two virtual CPUs under other load,
// Go 1.26.8, on the engine with a meter: bytes and allocations here and in package time, and the processor time as a
// ratio of package time's, the median of three runs. Near is 500 ms ahead, far 10 minutes.
//
//	operation        here       package time   time near   time far
//	NewTimer, Stop   184 in 3   248 in 3       3.2         2.7
//	AfterFunc, Stop  48 in 1    112 in 1       2.6         2.3
//	NewTicker, Stop  184 in 3   248 in 3       3.1         2.6
//	Timer.Reset      0          0              2.3         1.6
//	Stop, Reset      0          0              3.6         2.8
//	Now              0          0              1.02
//
// The engine's timers are handed on when a timer is stopped or fires, which is what pion's do all the time. Where many are
// armed at once there is nothing to hand on, and an AfterFunc costs 208 bytes far ahead and 336 bytes within a second
// (where the engine gives it a backstop in package time), against 112. On the clocks "runtime" and "manual" nothing is
// handed on: a timer of package time that was made in a bubble of virtual time may not be touched from outside.
package stdtime
