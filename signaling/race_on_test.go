//go:build race

package signaling

// raceFactor is how many times slower the race detector makes what only repeats itself.
const raceFactor = 10
