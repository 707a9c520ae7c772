package network

// HostBinding is a port on a host: the one it is bound to, or one that it may be
// given to.
type HostBinding struct {
	PortID   string
	Host     string // empty only of the active one: the port is unbound
	VNICType string
	Profile  string // JSON object; empty: none
	Active   bool
	Bound    bool // the host can have the port; false also of what was active before
}
