//go:build race

package search

// slowdown is what the race detector costs.
const slowdown = 20
