package network

// The scopes of the northbound database: what is rendered and applied as one.

// NetworkScope names the scope of a network and its subnets.
func NetworkScope(networkID string) string { return "network/" + networkID }

// PortScope names the scope of a port.
func PortScope(portID string) string { return "port/" + portID }

// GroupScope names the scope of a security group.
func GroupScope(groupID string) string { return "group/" + groupID }

// AddressGroupScope names the scope of an address group.
func AddressGroupScope(groupID string) string { return "addresses/" + groupID }

// RouterScope names the scope of a router.
func RouterScope(routerID string) string { return "router/" + routerID }

// FloatingScope names the scope of a floating address.
func FloatingScope(floatingID string) string { return "floating/" + floatingID }

// PortsSection is the section of hosts' desired state that lists ports.
const PortsSection = "ports"

// GuestsSection is the section of hosts whose metadata shows addresses.
const GuestsSection = "guests"
