// Package networkapi assembles the networking service: its dialect, its
// resources, what it tells hosts and the northbound database.
package networkapi
