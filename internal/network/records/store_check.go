package records

import (
	"context"
	"net/netip"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
)

const (
	hostConverges = "wait for the host: it makes what is missing and removes what nobody claims; then look at the log of its mek agent"
	reportIt      = "report it with this line"
)

var (
	outsideAddress = check.Code{ID: "I-04/address-outside", Means: "a port has an address that is not of its subnet", Remedy: reportIt}
	twiceAddress   = check.Code{ID: "I-04/address-twice", Means: "two ports of one network have one address", Remedy: "delete one of the ports"}
	ownerless      = check.Code{ID: "I-04/ghost-port", Means: "a port that belongs to nothing holds addresses", Remedy: "openstack port delete"}
	floatingPort   = check.Code{ID: "I-05/floating-port", Means: "a floating address without the port that holds it", Remedy: "openstack floating ip delete"}
	association    = check.Code{ID: "I-05/association", Means: "a floating address leads to what is not there", Remedy: "openstack floating ip unset --port"}
	dangling       = check.Code{ID: "I-37/network-reference", Means: "a network object names another that is gone", Remedy: reportIt}
	orphan         = check.Code{ID: "I-08/network-orphan", Means: "a row hangs on a network object that is gone", Remedy: reportIt}
	missingPort    = check.Code{ID: "I-03/missing-port", Means: "a port is bound to a host that does not have it", Remedy: hostConverges}
	ghostPort      = check.Code{ID: "I-03/ghost-port", Means: "a host has a port that no row gives it", Remedy: hostConverges}
	portStatus     = check.Code{ID: "I-21/port-status", Means: "a port is ACTIVE and its host does not forward for it, or the other way", Remedy: hostConverges}
)

// references are columns of one table that name rows of another, without a
// foreign key because empty means none.
var references = []struct{ kind, table, column, to string }{
	{"network", "network_networks", "qos_policy_id", "network_qos_policies"},
	{"port", "network_ports", "qos_policy_id", "network_qos_policies"},
	{"router", "network_routers", "gateway_network_id", "network_networks"},
	{"router", "network_routers", "gateway_port_id", "network_ports"},
	{"router", "network_routers", "gateway_qos_policy_id", "network_qos_policies"},
	{"floating address", "network_floatings", "qos_policy_id", "network_qos_policies"},
	{"subnet", "network_subnets", "pool_id", "network_pools"},
	{"subnet pool", "network_pools", "scope_id", "network_scopes"},
	{"rule", "network_rules", "remote_group_id", "network_groups"},
	{"rule", "network_rules", "address_group_id", "network_address_groups"},
	{"port forwarding", "network_forwardings", "port_id", "network_ports"},
}

// objects are the tables whose rows tags and sharing policies hang on.
const objects = `SELECT id FROM network_networks UNION SELECT id FROM network_subnets UNION SELECT id FROM network_ports UNION SELECT id FROM network_routers
	UNION SELECT id FROM network_groups UNION SELECT id FROM network_rules UNION SELECT id FROM network_floatings UNION SELECT id FROM network_pools
	UNION SELECT id FROM network_scopes UNION SELECT id FROM network_address_groups UNION SELECT id FROM network_qos_policies UNION SELECT id FROM network_trunks
	UNION SELECT id FROM network_forwardings UNION SELECT id FROM network_shares`

// Checks are the conservation queries of networks.
func (r *Records) Checks() []check.Check {
	list := []check.Query{
		{Code: twiceAddress, Kind: "port", SQL: `SELECT a.port_id, 'it has ' || a.address || ' on network ' || s.network_id || ', and port ' || b.port_id || ' has it too', ''
			FROM network_addresses a JOIN network_subnets s ON s.id = a.subnet_id JOIN network_addresses b ON b.address = a.address AND b.subnet_id < a.subnet_id
			JOIN network_subnets t ON t.id = b.subnet_id AND t.network_id = s.network_id`},
		{Code: outsideAddress, Kind: "port", SQL: `SELECT p.id, 'it is on network ' || p.network_id || ', its address ' || a.address || ' on subnet ' || s.id || ' of network ' || s.network_id, ''
			FROM network_addresses a JOIN network_subnets s ON s.id = a.subnet_id JOIN network_ports p ON p.id = a.port_id WHERE s.network_id <> p.network_id`},
		{Code: ownerless, Kind: "port", SQL: `SELECT p.id, 'it holds a floating address, ' || p.device_id || ', that is not there', '' FROM network_ports p
			WHERE p.device_owner = 'network:floatingip' AND p.device_id NOT IN (SELECT id FROM network_floatings)`},
		{Code: ownerless, Kind: "port", SQL: `SELECT p.id, 'it is the ' || p.device_owner || ' of router ' || p.device_id || ', which is not there', '' FROM network_ports p
			WHERE p.device_owner IN ('network:router_interface', 'network:router_gateway') AND p.device_id NOT IN (SELECT id FROM network_routers)`},
		{Code: ownerless, Kind: "port", SQL: `SELECT p.id, 'it is a gateway, and router ' || p.device_id || ' has port ' || r.gateway_port_id || ' for that', '' FROM network_ports p
			JOIN network_routers r ON r.id = p.device_id WHERE p.device_owner = 'network:router_gateway' AND r.gateway_port_id <> p.id`},
		{Code: floatingPort, Kind: "floating address", SQL: `SELECT f.id, f.address || ' shall be held by port ' || f.own_port_id || ', which does not have it', '' FROM network_floatings f
			WHERE NOT EXISTS (SELECT 1 FROM network_addresses a WHERE a.port_id = f.own_port_id AND a.address = f.address)`},
		{Code: association, Kind: "floating address", SQL: `SELECT f.id, f.address || ' leads to ' || f.fixed_address || ' of port ' || f.port_id || ', which does not have it', '' FROM network_floatings f
			WHERE f.port_id <> '' AND NOT EXISTS (SELECT 1 FROM network_addresses a WHERE a.port_id = f.port_id AND a.address = f.fixed_address)`},
		{Code: association, Kind: "floating address", SQL: `SELECT f.id, f.address || ' is translated by router ' || f.router_id || ', which has no gateway on its network', '' FROM network_floatings f
			WHERE f.router_id <> '' AND NOT EXISTS (SELECT 1 FROM network_routers r WHERE r.id = f.router_id AND r.gateway_network_id = f.network_id)`},
		{Code: association, Kind: "floating address", SQL: `SELECT f.id, f.address || ' is associated with port ' || f.port_id || ' and with router ' || f.router_id || ': one of them is missing', ''
			FROM network_floatings f WHERE (f.port_id = '') <> (f.fixed_address = '') OR f.port_id <> '' AND f.router_id = ''`},
		{Code: orphan, Kind: "tag", SQL: `SELECT tag, 'it is on ' || object || ', which is not there', '' FROM network_tags WHERE object NOT IN (` + objects + `)`},
		{Code: orphan, Kind: "sharing policy", SQL: `SELECT id, 'it shares ' || object_type || ' ' || object_id || ', which is not there', '' FROM network_shares WHERE object_id NOT IN (` + objects + `)`},
	}
	return []check.Check{
		check.Queries("network/rows", list...),
		{Name: "network/references", Codes: []check.Code{dangling}, Rows: true, Run: r.checkReferences},
		{Name: "network/addresses", Codes: []check.Code{outsideAddress}, Rows: true, Run: checkAddresses},
		{Name: "network/ports", Codes: []check.Code{missingPort, ghostPort, portStatus}, Run: checkPorts},
	}
}

func (r *Records) checkReferences(ctx context.Context, l *check.Look) error {
	for _, x := range references {
		found, err := r.DB.Loose(ctx, l, x.table, x.column, x.to)
		if err != nil {
			return err
		}
		for _, p := range found {
			l.Report(dangling, check.Of(x.kind, p.Subject), "%s", p.Text)
		}
	}
	return nil
}

// checkAddresses compares addresses with the prefixes of their subnets, which
// SQL cannot read.
func checkAddresses(ctx context.Context, l *check.Look) error {
	return l.Each(ctx, "SELECT a.port_id, a.address, s.id, s.cidr FROM network_addresses a JOIN network_subnets s ON s.id = a.subnet_id", func(scan func(...any) error) error {
		var port, address, subnet, cidr string
		if err := scan(&port, &address, &subnet, &cidr); err != nil {
			return err
		}
		a, err1 := netip.ParseAddr(address)
		p, err2 := netip.ParsePrefix(cidr)
		if err1 != nil || err2 != nil || !p.Contains(a) {
			l.Report(outsideAddress, check.Of("port", port), "its address is %q, subnet %s is %q", address, subnet, cidr)
		}
		return nil
	})
}

// checkPorts compares what hosts have with the ports that are bound to them. A
// port's saga is that of its server.
func checkPorts(ctx context.Context, l *check.Look) error {
	rows, err := portRows.Find(ctx, l)
	if err != nil {
		return err
	}
	bound := map[string]map[string]*portRow{}
	for _, p := range rows {
		if p.Host == "" {
			continue
		}
		if bound[p.Host] == nil {
			bound[p.Host] = map[string]*portRow{}
		}
		bound[p.Host][p.ID] = p
	}
	for _, h := range l.Hosts {
		have, ok := h.Has(check.Ports)
		if !ok {
			continue
		}
		for id := range have {
			if bound[h.Name][id] == nil {
				l.Report(ghostPort, check.Of("port", id), "host %s has it; no row binds it there", h.Name)
			}
		}
		for id, p := range bound[h.Name] {
			o, there := have[id]
			at := check.Of("port", id, p.DeviceID)
			switch ready := there && o.Phase == check.Ready; {
			case !there:
				l.Report(missingPort, at, "it is bound to host %s, which does not have it", h.Name)
			case ready != (p.Status == string(network.PortActive)):
				l.Report(portStatus, at, "its status is %s; on host %s it is %s", p.Status, h.Name, o.Phase)
			}
		}
	}
	return nil
}

// ServerPort is a port that compute has to do with.
type ServerPort struct {
	ID, Device, Host string
	Planned          bool // made by compute, and deleted with its server
}

// ServerPorts lists the ports that have a device, for checks.
func ServerPorts(ctx context.Context, q db.Querier) (map[string]ServerPort, error) {
	rows, err := portRows.Find(ctx, q)
	out := map[string]ServerPort{}
	for _, p := range rows {
		if p.DeviceID != "" {
			out[p.ID] = ServerPort{p.ID, p.DeviceID, p.Host, p.Planned}
		}
	}
	return out, err
}
