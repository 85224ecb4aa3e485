// Package rounds compares arms: each runs in processes of its own, in rounds of which every other one goes in the other
// order, so that a slow change of the machine meets all alike, and each ratio is taken within one round.
//
// It is what the benchmarks of several rooms share and knows nothing of what they measure. rounds.go has the order of
// things, ratio.go what is made of the figures, process.go the processes, options.go the words of command lines.
package rounds
