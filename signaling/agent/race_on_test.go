//go:build race

package agent_test

// raceFactor is how many times fewer cycles run under the race detector.
const raceFactor = 10
