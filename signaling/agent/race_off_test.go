//go:build !race

package agent_test

const raceFactor = 1
