// Package computeapi assembles the compute API: its dialect, its version
// documents and the routes of all compute resources.
package computeapi
