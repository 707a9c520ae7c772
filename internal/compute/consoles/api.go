package consoles

import (
	"net/url"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleConsoles = "os_compute_api:os-remote-consoles"
	ruleTokens   = "os_compute_api:os-console-auth-tokens"
)

// Rules are the policy rules of consoles, with upstream's names and defaults.
func Rules() []policy.Rule {
	return []policy.Rule{{Name: ruleConsoles, Check: policy.ProjectMemberOrAdmin, Scopes: []string{"project"}, Description: "Open a server's console."},
		{Name: ruleTokens, Check: policy.Admin, Scopes: []string{"project"}, Description: "See what a console's token opens."}}
}

// Find loads a server for a request and authorises the request's rule on it.
type Find func(c *rest.Call, serverID string) (*compute.Server, error)

type api struct {
	consoles *Consoles
	find     Find
}

// Routes are the operations of remote consoles.
func (s *Consoles) Routes(find Find) []rest.Route {
	a := api{s, find}
	return []rest.Route{{Method: "POST", Path: "/v2.1/servers/{id}/remote-consoles", Rule: ruleConsoles, Object: true, Audit: "console",
		Since: compute.RemoteConsoles, Handle: a.create},
		{Method: "GET", Path: "/v2.1/os-console-auth-tokens/{token}", Rule: ruleTokens, Handle: a.connection}}
}

// Actions are the older operations, part of the servers' action route.
func (s *Consoles) Actions(find Find) map[string]rest.Action {
	a := api{s, find}
	return map[string]rest.Action{
		"os-getVNCConsole":    {Rule: ruleConsoles, Audit: "console", Until: compute.RemoteConsoles, Handle: a.vnc},
		"os-getSPICEConsole":  {Rule: ruleConsoles, Audit: "console", Until: compute.RemoteConsoles, Handle: a.unavailable},
		"os-getRDPConsole":    {Rule: ruleConsoles, Audit: "console", Until: compute.RemoteConsoles, Handle: a.unavailable},
		"os-getSerialConsole": {Rule: ruleConsoles, Audit: "console", Until: compute.RemoteConsoles, Handle: a.unavailable},
	}
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Console struct {
			Protocol string `json:"protocol" v:"required,enum=vnc|spice|rdp|serial|mks"`
			Type     string `json:"type" v:"required,enum=novnc|xvpvnc|spice-html5|rdp-html5|serial|webmks"`
		} `json:"remote_console" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Console.Protocol != "vnc" || in.Console.Type != "novnc" {
		return rest.Reply{}, wrongKind(in.Console.Type)
	}
	address, err := a.address(c, server)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"remote_console": map[string]string{"protocol": "vnc", "type": "novnc", "url": address}})
}

func (a api) vnc(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Type string `json:"type" v:"required,enum=novnc|xvpvnc"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Type != "novnc" {
		return rest.Reply{}, wrongKind(in.Type)
	}
	address, err := a.address(c, server)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"console": map[string]string{"type": "novnc", "url": address}})
}

func (a api) unavailable(c *rest.Call) (rest.Reply, error) {
	if _, err := a.find(c, c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, wrongKind(c.Action)
}

func wrongKind(kind string) error {
	return fault.Invalidf("Unavailable console type %s.", kind)
}

// address is what opens in a browser. The path in it is relative, as the
// page's own origin carries the bytes too.
func (a api) address(c *rest.Call, server *compute.Server) (string, error) {
	token, err := a.consoles.grant(c.Context(), server, "novnc", c.Auth, c.Event("server", server.ID, server.ProjectID))
	if err != nil {
		return "", err
	}
	path := "console/websockify?token=" + token
	return c.Root() + "/console/vnc.html?path=" + url.QueryEscape(path), nil
}

// connection tells where the console of a token is. Before 2.31 that was for
// RDP consoles alone, of which there are none.
func (a api) connection(c *rest.Call) (rest.Reply, error) {
	if !c.At(compute.AllConsoleTokens) {
		return rest.Reply{}, fault.New(fault.Unauthenticated, "The requested console type details are not accessible")
	}
	r, err := a.consoles.peek(c.Context(), c.Var("token"))
	if err != nil {
		return rest.Reply{}, err
	}
	server, err := a.consoles.servers.Get(c.Context(), r.ServerID)
	if err != nil || server.Host == "" {
		return rest.Reply{}, fault.NotFoundf("Token not found")
	}
	// The host has no port of its own for consoles: its agent dials the server.
	return rest.OK(map[string]any{"console": map[string]any{"instance_uuid": r.ServerID, "host": server.Host, "port": 0, "internal_access_path": nil}})
}
