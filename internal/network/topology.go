package network

// Topology is what was made for a project that asked for any network: a
// network with its subnets, and a router that leads outside from them.
type Topology struct {
	ProjectID string
	NetworkID string
	RouterID  string // may have been deleted since
}
