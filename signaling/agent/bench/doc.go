// Package bench measures what re-timing costs pion: `tourbillon bench pion`.
//
// Two peer connections in one process find each other over loopback and open a data channel; then one sends as fast as
// it can. Each arm does that in a process of its own: this program with pion on the injected clock, and the program
// beside it that is built from the same sources with pion as published (`make build` makes both). The arms run in turn,
// every other time in the other order, so that a slow change of the machine meets all alike, and each ratio is taken
// within one such round. Where other programs want the processors too, the CPU for a connection or a megabyte is the
// figure that holds still.
//
// pair.go has the two peer connections, self.go what one process measures, compare.go the rounds, report.go what is made
// of them. What is common to the benchmarks of two programs is package timing/rounds; package negotiate is `bench ice`.
package bench
