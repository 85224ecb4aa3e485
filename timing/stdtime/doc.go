// Package stdtime stands in for package time in modules that know no clock but package time's: the generator in
// timing/retime copies pion with `import "time"` turned into `import time "tourbillon/timing/stdtime"`, and every
// timer of pion then runs on the injected clock.
//
// It has package time's whole exported surface. Dates, durations and zones are package time's own, as aliases; timers
// and tickers are types of their own, so that a *time.Timer which leaks into code that was not re-timed does not
// compile.
//
// # The process clock
//
// One clock serves the whole process, since the functions that it stands in for have no receiver to carry another.
// [Use] sets it once, before the first pion object is made; until then package time serves. Tests may swap it with
// [SwapForTest] while no timer is armed.
//
// # Semantics
//
// Go 1.23's: no stale value is received after Stop or Reset returned, and Stop reports true while a fire has not been
// received. Two differences remain, both invisible to pion: cap(C) is 1 instead of 0, and a ticker that is dropped
// without Stop is not collected.
//
// # Labels
//
// Each timer records its lateness under the module that armed it ("pion.ice"), found from the caller's program
// counter once per call site.
package stdtime
