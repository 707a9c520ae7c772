package network

// Trunk carries the traffic of further ports, tagged, over one parent port.
type Trunk struct {
	Standard
	PortID       string
	AdminStateUp bool
	SubPorts     []SubPort // in order of creation
	Status       string    // derived from the parent: ACTIVE or DOWN
}

// SubPort is a port whose frames pass its trunk's parent with a VLAN tag.
type SubPort struct {
	PortID           string
	SegmentationType string // "vlan"
	SegmentationID   int
}

// OwnerSubPort is the device owner of ports that are in a trunk.
const OwnerSubPort = "trunk:subport"
