package network

// PortStatus is the status a port shows.
type PortStatus string

// The statuses of ports, and those of routers, networks and floating addresses.
const (
	PortActive PortStatus = "ACTIVE" // the logical port is bound and its flows are in
	PortDown   PortStatus = "DOWN"
	PortBuild  PortStatus = "BUILD"
	PortError  PortStatus = "ERROR"
	PortNone   PortStatus = "N/A" // ports that hold a floating address

	StatusActive = "ACTIVE"
	StatusDown   = "DOWN"
	StatusError  = "ERROR"
)
