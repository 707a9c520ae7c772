package proxies

import (
	"context"
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/fault"
)

// addressedPort is a port of a server with its fixed addresses.
type addressedPort struct {
	ID        string           `json:"id"`
	NetworkID string           `json:"network_id"`
	Fixed     []map[string]any `json:"fixed_ips"`
}

func (n *Networks) addressedPorts(ctx context.Context, token, server string) ([]addressedPort, error) {
	var out struct {
		Ports []addressedPort `json:"ports"`
	}
	return out.Ports, n.do(ctx, token, http.MethodGet, "/ports", url.Values{"device_id": {server}}, nil, &out)
}

func (n *Networks) setFixed(ctx context.Context, token, port string, fixed []map[string]any) error {
	return n.do(ctx, token, http.MethodPut, "/ports/"+port, nil, map[string]any{"port": map[string]any{"fixed_ips": fixed}}, nil)
}

// addFixed gives a server's port on a network one more address of the subnet
// it has an address of.
func (n *Networks) addFixed(ctx context.Context, token, server, network string) error {
	ports, err := n.addressedPorts(ctx, token, server)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.NetworkID == network && len(p.Fixed) > 0 {
			return n.setFixed(ctx, token, p.ID, append(p.Fixed, map[string]any{"subnet_id": p.Fixed[0]["subnet_id"]}))
		}
	}
	return fault.NotFoundf("Network %s is not one of instance %s.", network, server)
}

// dropFixed takes one address from whichever port has it.
func (n *Networks) dropFixed(ctx context.Context, token, server, address string) error {
	ports, err := n.addressedPorts(ctx, token, server)
	if err != nil {
		return err
	}
	for _, p := range ports {
		left := []map[string]any{}
		for _, f := range p.Fixed {
			if f["ip_address"] != address {
				left = append(left, f)
			}
		}
		if len(left) < len(p.Fixed) {
			return n.setFixed(ctx, token, p.ID, left)
		}
	}
	return fault.Invalidf("Fixed IP %s not found for instance %s.", address, server)
}

// floating is a floating address as Neutron shows it.
type floating struct {
	ID     string  `json:"id"`
	PortID *string `json:"port_id"`
}

func (n *Networks) floating(ctx context.Context, token, address string) (*floating, error) {
	var out struct {
		List []floating `json:"floatingips"`
	}
	if err := n.do(ctx, token, http.MethodGet, "/floatingips", url.Values{"floating_ip_address": {address}}, nil, &out); err != nil {
		return nil, err
	}
	if len(out.List) == 0 {
		return nil, fault.NotFoundf("floating IP not found")
	}
	return &out.List[0], nil
}

// associate leads a floating address to a server, to its first fixed address
// or to the one given. An empty server takes it off.
func (n *Networks) associate(ctx context.Context, token, server, address, fixed string) error {
	f, err := n.floating(ctx, token, address)
	if err != nil {
		return err
	}
	body := map[string]any{"port_id": nil}
	if server != "" {
		ports, err := n.addressedPorts(ctx, token, server)
		if err != nil {
			return err
		}
		port, target := chooseFixed(ports, fixed)
		if port == "" {
			return fault.Invalidf("No fixed IPs associated to instance")
		}
		body = map[string]any{"port_id": port, "fixed_ip_address": target}
	}
	return n.do(ctx, token, http.MethodPut, "/floatingips/"+f.ID, nil, map[string]any{"floatingip": body}, nil)
}

// leadsTo refuses a floating address that does not lead to a server: Conflict.
func (n *Networks) leadsTo(ctx context.Context, token, server, address string) error {
	f, err := n.floating(ctx, token, address)
	if err != nil {
		return err
	}
	ports, err := n.addressedPorts(ctx, token, server)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if f.PortID != nil && *f.PortID == p.ID {
			return nil
		}
	}
	return fault.Conflictf("Floating IP %s is not associated with instance %s.", address, server)
}

func chooseFixed(ports []addressedPort, want string) (port string, address any) {
	for _, p := range ports {
		for _, f := range p.Fixed {
			if want == "" || f["ip_address"] == want {
				return p.ID, f["ip_address"]
			}
		}
	}
	return "", nil
}
