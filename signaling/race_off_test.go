//go:build !race

package signaling

const raceFactor = 1
