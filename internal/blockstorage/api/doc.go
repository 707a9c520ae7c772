// Package volumeapi assembles the block storage API: its dialect, its version
// documents and the routes of all its resources.
package volumeapi
