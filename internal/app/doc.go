// Package app puts the cloud together. It is wiring only and the only importer
// of everything: one file per service, a builder that hands each what it
// needs, and the two processes, server and agent.
package app
