// Package attach is what compute asks of networks (network.ForCompute): ports
// planned when a server is asked for, made and bound by its saga, and given
// back when it goes.
package attach
