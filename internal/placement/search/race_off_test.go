//go:build !race

package search

// slowdown is what the race detector costs: it is off.
const slowdown = 1
