package network

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
)

// PortRequest is one entry of a server's networks: a network, an existing
// port, or an address on a network.
type PortRequest struct {
	NetworkID string
	PortID    string // an existing port of the user
	FixedIP   string // requested address; empty: any
	Tag       string
	Auto      bool // instead of all these: the only network of the project, else one that is made for it
	// AnyNetwork holds for whoever administers networks: they are not only
	// those of the server's project, shared with it, or inside.
	AnyNetwork bool
}

// PlannedPort is what Plan made of a request: everything a saga needs to
// create or adopt the port later, with the id already minted.
type PlannedPort struct {
	PortID         string   `json:"port_id"`
	NetworkID      string   `json:"network_id"`     // empty with Auto
	Auto           bool     `json:"auto,omitempty"` // Attach chooses the network, or makes it
	FixedIP        string   `json:"fixed_ip,omitempty"`
	SecurityGroups []string `json:"security_groups,omitempty"`
	Existing       bool     `json:"existing,omitempty"` // made by the user: not deleted with the server
	Tag            string   `json:"tag,omitempty"`
}

// Attachment says whose port it becomes.
type Attachment struct {
	ServerID  string `json:"server_id"`
	ProjectID string `json:"project_id"`
	Zone      string `json:"zone"` // device_owner becomes compute:<zone>
	Hostname  string `json:"hostname"`
	Host      string `json:"host,omitempty"` // that the port is bound to at once; empty: none yet
}

// Address is one address of a server as compute shows it.
type Address struct {
	Address  string `json:"address"`
	Version  int    `json:"version"`
	Floating bool   `json:"floating"`
	SubnetID string `json:"subnet_id"`
}

// SubnetInfo is what metadata and the config drive say of a subnet.
type SubnetInfo struct {
	ID         string      `json:"id"`
	CIDR       string      `json:"cidr"`
	Version    int         `json:"version"`
	Gateway    string      `json:"gateway,omitempty"`
	DNS        []string    `json:"dns,omitempty"`
	Routes     [][2]string `json:"routes,omitempty"` // destination, next hop
	DHCP       bool        `json:"dhcp"`
	RAMode     string      `json:"ra_mode,omitempty"`
	AddressRef string      `json:"address_mode,omitempty"`
}

// Interface is one port of a server with all that compute shows or writes
// into metadata about it.
type Interface struct {
	PortID      string       `json:"port_id"`
	NetworkID   string       `json:"network_id"`
	NetworkName string       `json:"network_name"`
	ServerID    string       `json:"server_id"`
	MAC         string       `json:"mac"`
	MTU         int          `json:"mtu"`
	Active      bool         `json:"active"`
	Existing    bool         `json:"existing"` // made by the user: not deleted with the server
	Tag         string       `json:"tag,omitempty"`
	Addresses   []Address    `json:"addresses"` // fixed and floating
	Subnets     []SubnetInfo `json:"subnets"`
	Groups      []string     `json:"groups"` // names of security groups
}

// Binding is where a port is bound, and since which revision of that host's
// section Ports: await the host's report of that revision.
type Binding struct {
	PortID   string `json:"port_id"`
	Host     string `json:"host"`
	Revision int64  `json:"revision"`
}

// ForCompute is what compute asks of networks. Every method may be called
// again with the same arguments: a second call changes nothing and answers the
// same. Texts of faults are fit for users.
type ForCompute interface {
	// Plan checks a server's request for networks and mints the ports' ids.
	// None asks for no network; an empty list without none means: the only
	// network of the project, Conflict when there are several, none when
	// there is not any. Group names or ids are resolved in the project.
	// One request that is Auto means the only network as well, or, when there is
	// not any, one that Attach makes: Invalid when it could not.
	// Invalid: unknown network, port or group; OverQuota: not enough ports left.
	Plan(ctx context.Context, projectID string, requests []PortRequest, none bool, groups []string) ([]PlannedPort, error)
	// Attach makes (or adopts) the planned port for a server and gives it to the
	// server's host, with the caller's transaction. Conflict: another server has
	// it, or it is bound to another host.
	Attach(ctx context.Context, tx *db.Tx, p PlannedPort, a Attachment) (Interface, Binding, error)
	// Bind gives the port to a host. Conflict: bound to another one already.
	Bind(ctx context.Context, portID, host string) (Binding, error)
	// Unbind takes the port off its host; a port that is gone is fine.
	Unbind(ctx context.Context, portID string) error
	// Release ends the attachment: deletes a port that Attach made, gives an
	// existing one back to its user. A port that is gone is fine.
	Release(ctx context.Context, portID string) error
	// Interfaces lists the ports of servers, in order of creation, by server id.
	Interfaces(ctx context.Context, serverIDs ...string) (map[string][]Interface, error)
	// Shown is Interfaces without Subnets, which costs less.
	Shown(ctx context.Context, serverIDs ...string) (map[string][]Interface, error)
}
