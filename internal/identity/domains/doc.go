// Package domains is the API of domains. Their rows are projects that act as
// domains, which package projects keeps; configuration per domain is not built.
package domains
