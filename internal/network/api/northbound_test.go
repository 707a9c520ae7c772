package networkapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/engines"
	"github.com/mekcloud/mek/internal/network/networks"
	"github.com/mekcloud/mek/internal/network/northbound"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type oneHost struct{}

func (oneHost) Raised(string, hostlink.Section, int64, ...string) {}
func (oneHost) Names() []string                                   { return []string{"host-1"} }
func (oneHost) Facts(name string) (hostlink.Facts, bool) {
	return hostlink.Facts{Host: name, ID: "11111111-2222-4333-8444-555555555555"}, true
}

func (oneHost) Authenticate(context.Context, string) (*policy.Credentials, error) {
	return &policy.Credentials{UserID: "u", ProjectID: "p", Roles: []string{"admin", "member", "reader"}}, nil
}

// central starts the databases of OVN; they end with the test.
func central(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "meknb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	set, err := engine.NewSet(filepath.Join(dir, "e"), clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := engines.Central{Data: dir + "/d", Run: dir + "/r", Logs: dir + "/l"}
	if err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	procs, err := c.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		t.Cleanup(func() { _ = set.Stop(context.Background(), p.Name, time.Second) })
		if _, err := set.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return c.Northbound()
}

// site is the service with a real northbound database, on the wire.
type site struct {
	t   *testing.T
	s   *Service
	url string
}

func newSite(t *testing.T, d *db.DB, endpoint string) *site {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := New(Deps{DB: d, Clock: clock.Real{}, Log: log, Agents: oneHost{}, Northbound: endpoint, Physical: networks.Physical{Name: "public", MTU: 1500, TunnelMTU: 1442},
		Quotas: map[string]int{"network": -1, "port": -1, "router": -1, "security_group": -1, "security_group_rule": -1, "floatingip": -1, "subnet": -1}})
	service := s.REST()
	enforcer, err := policy.New(policy.Base(), service.Rules)
	if err != nil {
		t.Fatal(err)
	}
	service.Policy = enforcer
	front := httptest.NewServer(rest.New(rest.Config{Auth: oneHost{}, Clock: clock.Real{}, Log: log}, http.NotFoundHandler(), service))
	t.Cleanup(front.Close)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return &site{t, s, front.URL + "/networking/v2.0"}
}

func (s *site) do(method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "x")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(raw, &out) // a 204 has no body
	if res.StatusCode >= 500 {
		s.t.Errorf("%s %s: %d %s", method, path, res.StatusCode, raw)
	}
	return res.StatusCode, out
}

func (s *site) make(one, many string, body map[string]any) string {
	status, out := s.do("POST", "/"+many, map[string]any{one: body})
	if status != 201 {
		return ""
	}
	id, _ := out[one].(map[string]any)["id"].(string)
	return id
}

// made is make of what has to be there.
func (s *site) made(one, many string, body map[string]any) string {
	s.t.Helper()
	status, out := s.do("POST", "/"+many, map[string]any{one: body})
	if status != 201 {
		s.t.Fatalf("%s: %d %v", one, status, out)
	}
	return out[one].(map[string]any)["id"].(string)
}

// settled waits until changes are applied and checks that rendering everything
// anew finds nothing to repair: what the steps wrote is what the rows mean.
func (s *site) settled(what string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := s.s.loop.Idle(ctx); err != nil {
		s.t.Fatalf("after %s: %v", what, err)
	}
	var repaired int
	check := northbound.New(s.s.records, func(ctx context.Context) (northbound.Database, error) {
		d, err := ovn.Open(ctx, s.s.deps.Northbound, nil)
		return counting{d, &repaired}, err
	}, s.s.gateways, nil, clock.Real{}, slog.New(slog.DiscardHandler))
	if err := check.Run(ctx, northbound.NewQueue(func() {})); err != nil {
		s.t.Fatalf("full pass after %s: %v", what, err)
	}
	if repaired > 0 {
		s.t.Fatalf("after %s a full pass repaired %d scopes", what, repaired)
	}
}

type counting struct {
	*ovn.Northbound
	repaired *int
}

func (c counting) Resync(ctx context.Context, scopes map[string][]ovn.Row) (int, error) {
	n, err := c.Northbound.Resync(ctx, scopes)
	*c.repaired = n
	c.Close()
	return n, err
}

// TestNorthboundFollowsRows changes networks at random and compares the
// northbound database with a rendering of everything.
func TestNorthboundFollowsRows(t *testing.T) {
	endpoint := central(t)
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSite(t, d, endpoint)
		seed := time.Now().UnixNano()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewSource(seed)) //nolint:gosec // a test's choice of steps
		ext := s.make("network", "networks", map[string]any{"name": "ext", "router:external": true})
		s.make("subnet", "subnets", map[string]any{"network_id": ext, "cidr": "203.0.113.0/24", "ip_version": 4})
		s.settled("the external network")
		w := &random{site: s, r: r, ext: ext}
		for i := range 60 {
			what := w.step()
			if i%10 == 9 {
				s.settled(what)
			}
		}
	})
}

// random is what the steps made so far.
type random struct {
	*site
	r                                                      *rand.Rand
	ext                                                    string
	networks, subnets, ports, routers, groups, floats, all []string
}

func (w *random) pick(from []string) string {
	if len(from) == 0 {
		return "none"
	}
	return from[w.r.Intn(len(from))]
}

func keep(list *[]string, id string) {
	if id != "" {
		*list = append(*list, id)
	}
}

func (w *random) step() string {
	n := w.r.Intn(200)
	steps := []func() string{
		func() string {
			keep(&w.networks, w.make("network", "networks", map[string]any{"name": fmt.Sprint("n", n)}))
			return "network"
		},
		func() string {
			keep(&w.subnets, w.make("subnet", "subnets", map[string]any{"network_id": w.pick(w.networks), "cidr": fmt.Sprintf("10.%d.0.0/24", n), "ip_version": 4}))
			return "subnet"
		},
		func() string {
			keep(&w.subnets, w.make("subnet", "subnets", map[string]any{"network_id": w.pick(w.networks), "cidr": fmt.Sprintf("2001:db8:%d::/64", n), "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}))
			return "subnet6"
		},
		func() string {
			keep(&w.ports, w.make("port", "ports", map[string]any{"network_id": w.pick(w.networks), "binding:host_id": "host-1"}))
			return "port"
		},
		func() string {
			keep(&w.ports, w.make("port", "ports", map[string]any{"network_id": w.pick(w.networks), "extra_dhcp_opts": []any{map[string]any{"opt_name": "mtu", "opt_value": "1400"}}}))
			return "port"
		},
		func() string {
			keep(&w.routers, w.make("router", "routers", map[string]any{"name": "r", "external_gateway_info": map[string]any{"network_id": w.ext}}))
			return "router"
		},
		func() string {
			w.do("PUT", "/routers/"+w.pick(w.routers)+"/add_router_interface", map[string]any{"subnet_id": w.pick(w.subnets)})
			return "join"
		},
		func() string {
			w.do("PUT", "/routers/"+w.pick(w.routers)+"/remove_router_interface", map[string]any{"subnet_id": w.pick(w.subnets)})
			return "leave"
		},
		func() string {
			keep(&w.floats, w.make("floatingip", "floatingips", map[string]any{"floating_network_id": w.ext}))
			w.do("PUT", "/floatingips/"+w.pick(w.floats), map[string]any{"floatingip": map[string]any{"port_id": w.pick(w.ports)}})
			return "floating"
		},
		func() string {
			keep(&w.groups, w.make("security_group", "security-groups", map[string]any{"name": "g", "stateful": n%2 == 0}))
			return "group"
		},
		func() string {
			w.do("PUT", "/security-groups/"+w.pick(w.groups), map[string]any{"security_group": map[string]any{"stateful": n%2 == 0}})
			return "group update"
		},
		func() string {
			w.make("security_group_rule", "security-group-rules", map[string]any{"security_group_id": w.pick(w.groups), "direction": "ingress", "protocol": "tcp", "port_range_min": 1 + n, "port_range_max": 500, "remote_group_id": w.pick(w.groups)})
			return "rule"
		},
		func() string {
			w.do("PUT", "/ports/"+w.pick(w.ports), map[string]any{"port": map[string]any{"security_groups": []string{w.pick(w.groups)}, "allowed_address_pairs": []any{map[string]any{"ip_address": fmt.Sprintf("10.0.%d.0/24", n)}}}})
			return "port update"
		},
		func() string {
			w.do("PUT", "/subnets/"+w.pick(w.subnets), map[string]any{"subnet": map[string]any{"enable_dhcp": n%2 == 0, "dns_nameservers": []string{"192.0.2.1"}}})
			return "subnet update"
		},
		func() string { w.do("DELETE", "/ports/"+w.pick(w.ports), nil); return "port gone" },
		func() string { w.do("DELETE", "/networks/"+w.pick(w.networks), nil); return "network gone" },
		func() string { w.do("DELETE", "/subnets/"+w.pick(w.subnets), nil); return "subnet gone" },
		func() string { w.do("DELETE", "/routers/"+w.pick(w.routers), nil); return "router gone" },
		func() string { w.do("DELETE", "/security-groups/"+w.pick(w.groups), nil); return "group gone" },
		func() string { w.do("DELETE", "/floatingips/"+w.pick(w.floats), nil); return "floating gone" },
	}
	return steps[w.r.Intn(len(steps))]()
}

// quiet is an agent that can fall silent.
type quiet struct {
	oneHost
	silent *bool
}

func (q quiet) Names() []string {
	if *q.silent {
		return nil
	}
	return []string{"host-1"}
}

// holding is a northbound database with these gateways.
type holding struct {
	northbound.Database
	hosts []string
}

func (h holding) Gateways() []string { return h.hosts }

// TestChooseGateways: gateways stay where they are while their host lives, go
// elsewhere when it does not, and a dead host is not named beside a living one.
func TestChooseGateways(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		holding  []string
		live     []string
		others   []string
		expected []string
		stays    bool
		want     string
	}{
		"first start":                   {live: []string{"a", "home"}, want: "[home]"},
		"stays away from home":          {holding: []string{"a"}, live: []string{"a", "home"}, want: "[a]"},
		"home came back to stay":        {holding: []string{"a"}, live: []string{"a", "home"}, stays: true, want: "[home]"},
		"dies":                          {holding: []string{"a"}, live: []string{"home"}, others: []string{"a"}, want: "[home]"},
		"comes back":                    {holding: []string{"home"}, live: []string{"a", "home"}, want: "[home]"},
		"nobody lives":                  {holding: []string{"a"}, others: []string{"a", "home"}, want: "[a]"},
		"nobody is known":               {others: []string{"b"}, want: "[b]"},
		"restart, others come first":    {holding: []string{"a"}, live: []string{"b"}, expected: []string{"a"}, want: "[a]"},
		"restart, it does not come":     {holding: []string{"a"}, live: []string{"b"}, want: "[b]"},
		"three may fail over by OVN":    {holding: []string{"b"}, live: []string{"a", "b", "home"}, want: "[b home a]"},
		"of three one dies":             {holding: []string{"b", "home", "a"}, live: []string{"a", "home"}, want: "[home]"},
		"none at all":                   {want: "[]"},
		"home is away":                  {live: []string{"b", "c"}, want: "[b]"},
		"removed, and nobody holds any": {holding: nil, live: []string{"b"}, others: []string{"a"}, want: "[b]"},
	} {
		got := chooseGateways(c.holding, "home", c.stays, c.live, c.others, func(n string) bool { return slices.Contains(c.expected, n) })
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// TestSilentHostKeepsGateways: a network goes on without its agent, and after
// a restart of the server, before the agent is heard of again.
func TestSilentHostKeepsGateways(t *testing.T) {
	d := dbtest.One(t)
	silent := false
	agents := quiet{silent: &silent}
	fresh := func() *Service {
		return New(Deps{DB: d, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler), Agents: agents})
	}
	s := fresh()
	s.HostsChanged()
	silent = true
	s.HostsChanged()
	if hosts, err := s.gateways(t.Context(), holding{}, northbound.Going); err != nil || fmt.Sprint(hosts) != "[host-1]" {
		t.Errorf("after the agent fell silent: %v %v", hosts, err)
	}
	w := newSite(t, d, "")
	n := w.make("network", "networks", map[string]any{"name": "n"})
	w.make("port", "ports", map[string]any{"network_id": n, "binding:host_id": "host-1"})
	if hosts, err := fresh().gateways(t.Context(), holding{}, northbound.Going); err != nil || fmt.Sprint(hosts) != "[host-1]" {
		t.Errorf("after the server was restarted: %v %v", hosts, err)
	}
}

// TestForCompute goes a server's way: plan, make, bind, report, give back.
func TestForCompute(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSite(t, d, "")
		ctx, c := t.Context(), s.s.ForCompute()
		if plan, err := c.Plan(ctx, "p", nil, false, nil); err != nil || len(plan) > 0 {
			t.Errorf("no network: %v %v", plan, err)
		}
		n := s.make("network", "networks", map[string]any{"name": "n"})
		if _, err := c.Plan(ctx, "p", nil, false, nil); err == nil {
			t.Error("a network without a subnet was planned")
		}
		s.make("subnet", "subnets", map[string]any{"network_id": n, "cidr": "10.0.0.0/24", "ip_version": 4})
		plan, err := c.Plan(ctx, "p", nil, false, []string{"default"})
		if err != nil || len(plan) != 1 || len(plan[0].SecurityGroups) != 1 {
			t.Fatalf("plan: %v %v", plan, err)
		}
		a := network.Attachment{ServerID: "server-1", ProjectID: "p", Zone: "nova", Host: "host-1"}
		attach := func(plan network.PlannedPort) (i network.Interface, b network.Binding, err error) {
			err = d.Write(ctx, func(tx *db.Tx) error {
				i, b, err = c.Attach(ctx, tx, plan, a)
				return err
			})
			return i, b, err
		}
		var b network.Binding
		for range 2 {
			i, bound, err := attach(plan[0])
			if err != nil || len(i.Addresses) != 1 || i.Existing || i.Groups[0] != "default" || len(i.Subnets) != 1 {
				t.Fatalf("attach: %+v %v", i, err)
			}
			if all, err := c.Interfaces(ctx, "server-1"); err != nil || !reflect.DeepEqual(all["server-1"], []network.Interface{i}) {
				t.Errorf("attached as %+v, listed as %+v, %v", i, all, err)
			}
			b = bound
		}
		wide := s.make("network", "networks", map[string]any{"name": "wide"})
		for _, subnet := range []map[string]any{{"cidr": "10.1.0.0/24", "ip_version": 4}, {"cidr": "2001:db8::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}} {
			subnet["network_id"] = wide
			s.make("subnet", "subnets", subnet)
		}
		group := s.make("security_group", "security-groups", map[string]any{"name": "second"})
		other, err := c.Plan(ctx, "p", []network.PortRequest{{NetworkID: wide}}, false, []string{"default", group})
		if err != nil {
			t.Fatal(err)
		}
		a.ServerID = "server-3"
		i, _, err := attach(other[0])
		if all, err2 := c.Interfaces(ctx, "server-3"); err != nil || err2 != nil || len(i.Addresses) != 2 || len(i.Groups) != 2 || !reflect.DeepEqual(all["server-3"], []network.Interface{i}) {
			t.Errorf("attached as %+v, listed as %+v, %v, %v", i, all, err, err2)
		}
		a.ServerID = "server-1"
		again, err := c.Bind(ctx, plan[0].PortID, "host-1")
		if err != nil || b != again || b.Revision == 0 {
			t.Errorf("bind: %+v %+v %v", b, again, err)
		}
		if _, err := c.Bind(ctx, plan[0].PortID, "host-2"); err == nil {
			t.Error("bound twice")
		}
		body, revision, err := s.s.Render(ctx, "host-1")
		if text, _ := json.Marshal(body); err != nil || revision < b.Revision || !bytes.Contains(text, []byte(`"metadata_mac":"fa:16:3e`)) {
			t.Errorf("document: %s at %d: %v", text, revision, err)
		}
		ready := hostlink.Report{Objects: []hostlink.ObjectReport{{ID: plan[0].PortID, Phase: hostlink.Ready}}}
		for _, host := range []string{"host-2", "host-1"} { // only the host that has the port may speak of it
			ready.Host = host
			if err := s.s.Observe(ctx, ready); err != nil {
				t.Fatal(err)
			}
			if all, err := c.Interfaces(ctx, "server-1"); err != nil || all["server-1"][0].Active != (host == "host-1") {
				t.Errorf("after a report of %s: %+v %v", host, all, err)
			}
		}
		all, err := c.Interfaces(ctx, "server-1", "server-2")
		if err != nil || len(all["server-1"]) != 1 || !all["server-1"][0].Active {
			t.Errorf("interfaces: %+v %v", all, err)
		}
		own := s.make("port", "ports", map[string]any{"network_id": n})
		mine, err := c.Plan(ctx, "p", []network.PortRequest{{PortID: own}}, false, nil)
		if err != nil || !mine[0].Existing {
			t.Fatalf("plan of a port: %v %v", mine, err)
		}
		if i, bound, err := attach(mine[0]); err != nil || !i.Existing || bound.Revision <= b.Revision {
			t.Fatalf("attach a user's port: %+v %+v %v", i, bound, err)
		}
		if _, err := c.Plan(ctx, "p", []network.PortRequest{{PortID: own}}, false, nil); err == nil {
			t.Error("a port in use was planned")
		}
		for range 2 {
			for _, id := range []string{plan[0].PortID, own} {
				if err := c.Release(ctx, id); err != nil {
					t.Error(err)
				}
			}
		}
		if status, _ := s.do("GET", "/ports/"+plan[0].PortID, nil); status != 404 {
			t.Errorf("the server's port is still there: %d", status)
		}
		if status, out := s.do("GET", "/ports/"+own, nil); status != 200 || out["port"].(map[string]any)["device_id"] != "" {
			t.Errorf("the user's port: %d %v", status, out)
		}
	})
}

// crew is the agents that a server hears.
type crew struct {
	oneHost
	live *[]string
}

func (c crew) Names() []string { return slices.Clone(*c.live) }
func (c crew) Facts(name string) (hostlink.Facts, bool) {
	return hostlink.Facts{Host: name, ID: name}, true
}

// TestGatewaysStayThroughChangesOfTheLeader: two servers write one northbound
// database in turn. Whoever takes the lead leaves gateways with the host that holds
// them, wherever they were when it led before, and knows of one that died.
func TestGatewaysStayThroughChangesOfTheLeader(t *testing.T) {
	endpoint, d, now := central(t), dbtest.One(t), clock.NewFake(time.Unix(1_800_000_000, 0))
	live := []string{"home-1", "home-2", "other"}
	homes := func(context.Context) ([]string, error) { return []string{"home-1", "home-2"}, nil }
	leader := ""
	type server struct {
		*Service
		sync *northbound.Sync
	}
	join := func(home string) *server {
		s := New(Deps{DB: d, Clock: now, Log: slog.New(slog.DiscardHandler), Agents: crew{live: &live}, Home: home, Homes: homes, Northbound: endpoint})
		lead := func(context.Context) (func() bool, error) {
			if leader != home {
				return nil, nil
			}
			return func() bool { return leader == home }, nil
		}
		return &server{s, northbound.New(s.records, s.openNorthbound, s.gateways, lead, now, slog.New(slog.DiscardHandler))}
	}
	site := newSite(t, d, "")
	ext := site.make("network", "networks", map[string]any{"name": "ext", "router:external": true})
	site.make("subnet", "subnets", map[string]any{"network_id": ext, "cidr": "203.0.113.0/24", "ip_version": 4})
	if site.make("router", "routers", map[string]any{"name": "r", "external_gateway_info": map[string]any{"network_id": ext}}) == "" {
		t.Fatal("no router")
	}
	servers := map[string]*server{"home-1": join("home-1"), "home-2": join("home-2")}
	look := func(what, who, want string) {
		t.Helper()
		leader = who
		for range 4 { // longer than hosts are waited for, and than a home has to be back
			now.Advance(watchGateways)
			for _, s := range servers {
				if err := s.gatewaysStay(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := s.sync.Run(t.Context(), s.queue); err != nil {
					t.Fatal(err)
				}
			}
		}
		n, err := ovn.Open(t.Context(), endpoint, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		if got := n.Gateways(); len(got) == 0 || got[0] != want {
			t.Errorf("%s: gateways are on %v, not on %s", what, got, want)
		}
	}
	on := func(hosts ...string) {
		live = hosts
		for _, s := range servers {
			s.HostsChanged()
		}
	}
	on("home-1", "home-2")
	look("first start", "home-1", "home-1")
	look("the other leads", "home-2", "home-1")
	on("home-2")
	look("the host died under it", "home-2", "home-2")
	on("home-1", "home-2")
	look("the host is back", "home-2", "home-2")
	look("the first leads again: what it remembers is old", "home-1", "home-2")
	on("home-1", "other")
	look("the host died", "home-1", "home-1")
	on("other")
	look("so did the other home", "home-1", "other")
	on("home-1", "other")
	servers["home-2"] = join("home-2") // a new process, whose host is dead
	look("one leads whose own host is dead", "home-2", "other")
	look("one leads whose own host is back", "home-1", "home-1")
	on("home-1", "home-2", "other")
	look("three live", "home-1", "home-1")
	look("three live, the other leads", "home-2", "home-1")
}
