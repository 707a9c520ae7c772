package network

import (
	"net/netip"
	"time"
)

// Standard is what every resource of this service carries.
type Standard struct {
	ID          string
	ProjectID   string
	Name        string
	Description string
	Revision    int64 // raised by every change of the resource
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Tags        []string
}

// Network is one broadcast domain.
type Network struct {
	Standard
	AdminStateUp    bool
	Shared          bool
	External        bool // routers may have their gateway here
	IsDefault       bool // the external network that automatic topologies use
	PortSecurity    bool // default of new ports
	MTU             int
	NetworkType     string // TypeGeneve, TypeFlat or TypeVLAN
	PhysicalNetwork string // empty for tenant networks
	SegmentationID  int    // 0: none
	DNSDomain       string
	QoSPolicyID     string   // of its ports that have none of their own
	ZoneHints       []string // availability zones that were asked for
	SharedWith      Audience
	IPv4Scope       string // address scope of its IPv4 subnets; empty: none
	IPv6Scope       string
	ExternalTo      Audience // whose routers may have their gateway here
	SubnetIDs       []string // in order of creation
}

// The kinds of networks.
const (
	TypeGeneve = "geneve"
	TypeFlat   = "flat"
	TypeVLAN   = "vlan"
)

// Range is an allocation pool, both ends included.
type Range struct{ Start, End netip.Addr }

// HostRoute is a route that a subnet hands to its guests, or an extra route of a router.
type HostRoute struct {
	Destination netip.Prefix
	NextHop     netip.Addr
}

// Subnet is a range of addresses of a network.
type Subnet struct {
	Standard
	NetworkID       string
	IPVersion       int // 4 or 6
	CIDR            netip.Prefix
	Gateway         netip.Addr // invalid: none
	Pools           []Range
	DNSNameservers  []string
	HostRoutes      []HostRoute
	EnableDHCP      bool
	IPv6RAMode      string // "slaac", "dhcpv6-stateful", "dhcpv6-stateless" or empty
	IPv6AddressMode string
	ServiceTypes    []string
	PoolID          string // the subnet pool it was cut from; empty: none
}

// FixedIP is one address of a port.
type FixedIP struct {
	SubnetID string
	Address  netip.Addr
}

// AddressPair lets a port use a further address. MAC may be empty: the port's own.
type AddressPair struct {
	Prefix netip.Prefix
	MAC    string
	Single bool // written as an address, not as a range
}

// DHCPOption is an extra option of a port.
type DHCPOption struct {
	Name    string
	Value   string
	Version int // 4 or 6
}

// Port is an attachment to a network.
type Port struct {
	Standard
	NetworkID       string
	AdminStateUp    bool
	Status          PortStatus
	MAC             string // lower case, with colons
	FixedIPs        []FixedIP
	DeviceID        string
	DeviceOwner     string // one of the Owner constants, "compute:<zone>", or a user's own word
	PortSecurity    bool
	SecurityGroups  []string // ids
	AddressPairs    []AddressPair
	DHCPOptions     []DHCPOption
	Host            string // binding:host_id; empty: unbound
	VNICType        string
	Profile         string // binding:profile, JSON object
	BindingRevision int64  // of the section Ports of Host, raised when the binding changed
	Planned         bool   // made by compute for a server, and deleted with it
	DNSName         string // lower case
	DNSDomain       string
	DataPlaneStatus string // what an operator says of it; empty: nothing
	MACLearning     bool   // any MAC may appear behind it
	UplinkStatus    bool   // the state of the uplink is passed on
	QoSPolicyID     string
	Trunk           *Trunk            // that it is the parent of; nil: none
	TrunkMACs       map[string]string // of the ports in that trunk
}

// The device owners this service sets itself.
const (
	OwnerRouterInterface = "network:router_interface"
	OwnerRouterGateway   = "network:router_gateway"
	OwnerFloatingIP      = "network:floatingip"
	OwnerMetadata        = "network:distributed" // the local port that carries metadata, one per network
	OwnerComputePrefix   = "compute:"
)

// Gateway is how a router reaches an external network.
type Gateway struct {
	NetworkID  string
	EnableSNAT bool
	FixedIPs   []FixedIP
	PortID     string
	// QoSPolicyID limits what passes the gateway; empty: none.
	QoSPolicyID string
}

// Router joins subnets, and leads outside through its gateway.
type Router struct {
	Standard
	AdminStateUp bool
	Gateway      *Gateway // nil: none
	Routes       []HostRoute
	ZoneHints    []string // availability zones that were asked for
}

// FloatingIP is an external address that may lead to a port.
type FloatingIP struct {
	Standard
	NetworkID string
	PortOwnID string // the port that holds the address on the external network
	Address   netip.Addr
	PortID    string     // the associated port; empty: none
	Fixed     netip.Addr // address of the associated port
	RouterID  string
	Status    string
	DNSName   string
	DNSDomain string
	// QoSPolicyID limits what passes the address; empty: none.
	QoSPolicyID string
	// Port and Forwardings are what it leads to.
	Port        *Port // without its addresses; nil: none
	Forwardings []Forwarding
}

// SecurityGroup is a set of rules that ports can be members of.
type SecurityGroup struct {
	Standard
	Stateful bool
	Rules    []Rule // in order of creation
	// SharedWith are projects whose ports may use it too.
	SharedWith Audience
}

// Rule lets one kind of traffic pass.
type Rule struct {
	Standard
	GroupID       string
	Direction     string // "ingress" or "egress"
	EtherType     string // "IPv4" or "IPv6"
	Protocol      string // name or number as given; empty: any
	PortMin       *int   // ICMP type for ICMP
	PortMax       *int   // ICMP code for ICMP
	RemoteGroupID string
	RemotePrefix  netip.Prefix // invalid: any
	// AddressGroupID names the addresses of the other end; empty: any.
	AddressGroupID string
}

// The directions of rules.
const (
	Ingress = "ingress"
	Egress  = "egress"
	IPv4    = "IPv4"
	IPv6    = "IPv6"
)

// RuleTemplate is a rule that new security groups begin with. The remote group
// OwnGroup stands for the group itself.
type RuleTemplate struct {
	Rule
	InDefault bool // in the default group of a project
	InOthers  bool // in all others
}

// OwnGroup stands in a template for the group that gets the rule.
const OwnGroup = "PARENT"
