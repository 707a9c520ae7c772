package servers

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/guests"
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/task"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	project = "11111111-1111-4111-8111-111111111111"
	hostA   = "22222222-2222-4222-8222-222222222222"
	hostB   = "22222222-2222-4222-8222-22222222222b"
	imageA  = "33333333-3333-4333-8333-333333333333"
	volumeA = "44444444-4444-4444-8444-444444444444"
	netA    = "55555555-5555-4555-8555-555555555555"
)

// surroundings is everything outside this package: a simulated host that
// outlives the server, and what other services keep.
type surroundings struct {
	t       *testing.T
	db      *db.DB
	state   *sim.State
	driver  *sim.Driver
	agent   *agent.Agent
	net     *ports
	vol     *volumes
	img     *images
	place   *records.Store
	fail    func(call, guestID string) sim.Fault
	hub     *hub.Hub
	leave   func()
	servers *Servers
	engine  *task.Engine
	second  *host             // another host; nil: there is none
	dead    atomic.Bool       // the first host is down
	fenced  bool              // and somebody vouches for it
	asked   func(host string) // called when a host was given leave to run a guest
}

// host is a simulated host beside the first one.
type host struct {
	driver *sim.Driver
	agent  *agent.Agent
	leave  func()
}

func newSurroundings(t *testing.T) *surroundings { return surroundingsOn(t, dbtest.One(t)) }

func surroundingsOn(t *testing.T, d *db.DB) *surroundings {
	t.Helper()
	w := &surroundings{t: t, db: d, state: sim.NewState()}
	w.net = &ports{w: w, all: map[string]*port{}, applied: map[string]bool{}}
	w.vol = &volumes{all: map[string]*blockstorage.Volume{volumeA: {ID: volumeA, ProjectID: project, SizeGiB: 1, Status: blockstorage.Available, Bootable: true}},
		attached: map[string]string{}, shots: map[string]string{}}
	w.img = newImages()
	w.vol.running = func() []guest.Facts {
		return slices.DeleteFunc(w.guests(), func(f guest.Facts) bool { return f.Power != guest.Running })
	}
	w.driver = sim.New(sim.Config{Clock: clock.Real{}, State: w.state, Fault: func(call, id string) sim.Fault {
		if w.fail != nil {
			return w.fail(call, id)
		}
		return sim.Fault{}
	}})
	log := slog.New(slog.DiscardHandler)
	applier := guests.New(w.driver, clock.Real{}, log)
	relay := &hostlink.Relay{}
	applier.Ask(&asker{w, "host-a", relay})
	w.agent = agent.New(agent.Config{Relay: relay, Journal: agent.MemoryJournal(), Log: log, Facts: hostlink.Facts{Host: "host-a", ID: hostA},
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Guests: applier, hostlink.Ports: w.net}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.agent.Run(ctx) }() // it returns when ctx ends
	t.Cleanup(func() {
		if w.leave != nil {
			w.leave()
		}
		if w.hub != nil {
			w.hub.Close()
		}
		cancel()
		<-done
		applier.Close()
		if err := w.driver.Close(); err != nil {
			t.Error(err)
		}
	})
	w.place = records.New(w.db, clock.Real{})
	err := w.place.EnsureProvider(ctx, placement.Host{UUID: hostA, Name: "host-a", Inventories: map[string]placement.Inventory{
		"VCPU": placement.Units(8), "MEMORY_MB": placement.Units(8192), "DISK_GB": placement.Units(100)}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// addHost brings a second host.
func (w *surroundings) addHost() {
	w.t.Helper()
	h := &host{driver: sim.New(sim.Config{Clock: clock.Real{}, Fault: func(call, id string) sim.Fault {
		if w.fail != nil {
			return w.fail(call, id)
		}
		return sim.Fault{}
	}})}
	log := slog.New(slog.DiscardHandler)
	applier := guests.New(h.driver, clock.Real{}, log)
	relay := &hostlink.Relay{}
	applier.Ask(&asker{w, "host-b", relay})
	h.agent = agent.New(agent.Config{Relay: relay, Journal: agent.MemoryJournal(), Log: log, Facts: hostlink.Facts{Host: "host-b", ID: hostB},
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Guests: applier, hostlink.Ports: w.net}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.agent.Run(ctx) }() // it returns when ctx ends
	w.t.Cleanup(func() {
		if h.leave != nil {
			h.leave()
		}
		cancel()
		<-done
		applier.Close()
		if err := h.driver.Close(); err != nil {
			w.t.Error(err)
		}
	})
	err := w.place.EnsureProvider(ctx, placement.Host{UUID: hostB, Name: "host-b", Inventories: map[string]placement.Inventory{
		"VCPU": placement.Units(8), "MEMORY_MB": placement.Units(8192), "DISK_GB": placement.Units(100)}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.second = h
}

// open starts the server's part anew.
func (w *surroundings) open(o task.Options) *task.Engine {
	if w.hub != nil {
		if w.leave != nil {
			w.leave()
			w.leave = nil
		}
		if w.second != nil && w.second.leave != nil {
			w.second.leave()
			w.second.leave = nil
		}
		w.hub.Close()
	}
	if o.DB == nil {
		o.DB = w.db
	}
	log := slog.New(slog.DiscardHandler)
	w.engine = task.New(o)
	w.hub = hub.New(hub.Config{Log: log})
	w.place = records.New(w.db, clock.Real{})
	w.servers = New(Deps{DB: w.db, Clock: clock.Real{}, Log: log, Tasks: w.engine, Agents: w.hub, Hosts: w, Flavors: w, Keys: keys{}, Images: w.img,
		Networks: w.net, Volumes: w.vol, Placement: w.place, Quota: unlimited{}})
	w.hub.Register(hostlink.Guests, w.servers.Render, w.servers.Observe)
	w.hub.RegisterPart(hostlink.Guests, w.servers.RenderSome)
	w.hub.Register(hostlink.Ports, w.net.render, nil)
	w.hub.OnTell(hostlink.Guests, w.servers.Told)
	w.servers.glance = 50 * time.Millisecond
	if !w.dead.Load() {
		w.rejoin()
	}
	if w.second != nil {
		leave, err := inproc.Join(context.Background(), w.hub, w.second.agent)
		if err != nil {
			w.t.Fatal(err)
		}
		w.second.leave = leave
	}
	return w.engine
}

func (w *surroundings) SchedulerHosts(context.Context) ([]scheduler.Host, error) {
	out := []scheduler.Host{{ID: hostA, Name: "host-a", Zone: "nova", Usable: !w.dead.Load(), Up: !w.dead.Load(), Fenced: w.fenced, LiveMigration: true}}
	if w.second != nil {
		out = append(out, scheduler.Host{ID: hostB, Name: "host-b", Zone: "nova", Usable: true, Up: true, LiveMigration: true})
	}
	return out, nil
}

func (w *surroundings) SchedulerHost(ctx context.Context, name string) (scheduler.Host, bool, error) {
	all, err := w.SchedulerHosts(ctx)
	if at := slices.IndexFunc(all, func(h scheduler.Host) bool { return h.Name == name }); at >= 0 {
		return all[at], true, err
	}
	return scheduler.Host{}, false, err
}

func (w *surroundings) SchedulerHostByID(ctx context.Context) (func(string) (scheduler.Host, bool), error) {
	all, err := w.SchedulerHosts(ctx)
	return func(id string) (scheduler.Host, bool) {
		for _, h := range all {
			if h.ID == id {
				return h, true
			}
		}
		return scheduler.Host{}, false
	}, err
}

func (w *surroundings) Get(_ context.Context, flavorID, _ string) (*compute.Flavor, error) {
	if flavorID == "big" {
		return &compute.Flavor{ID: "big", Name: "m1.big", VCPUs: 4, MemoryMiB: 1024, RootGiB: 4, EphemGiB: 2, SwapMiB: 128, Public: true}, nil
	}
	if flavorID != "small" {
		return nil, fault.NotFoundf("no such flavor")
	}
	return &compute.Flavor{ID: "small", Name: "m1.small", VCPUs: 2, MemoryMiB: 512, RootGiB: 2, EphemGiB: 1, SwapMiB: 64, Public: true}, nil
}

type keys struct{}

func (keys) Get(_ context.Context, user, name string) (*compute.KeyPair, error) {
	if name != "mine" {
		return nil, fault.NotFoundf("no such key pair")
	}
	return &compute.KeyPair{Name: name, UserID: user, Type: compute.SSHKey, PublicKey: "ssh-ed25519 AAAA"}, nil
}

type unlimited struct{}

func (unlimited) Check(context.Context, *db.Tx, string, map[string]int64) error { return nil }
func (unlimited) Limits(context.Context, db.Querier, string) (map[string]int64, error) {
	return map[string]int64{"metadata_items": 2, "server_group_members": -1, "injected_files": -1, "injected_file_content_bytes": -1}, nil
}

// port is one port of the model network.
type port struct {
	server, host string
	revision     int64
}

// ports is a model of the network service and of the hosts' part of it.
type ports struct {
	w       *surroundings
	mu      sync.Mutex
	all     map[string]*port
	applied map[string]bool
	count   int64
	held    chan struct{} // hosts report ports when it is closed; nil: at once
}

func (p *ports) Plan(_ context.Context, _ string, requests []network.PortRequest, none bool, _ []string) ([]network.PlannedPort, error) {
	if none {
		return nil, nil
	}
	out := []network.PlannedPort{}
	for range max(1, len(requests)) {
		out = append(out, network.PlannedPort{PortID: id.New(), NetworkID: netA})
	}
	return out, nil
}

func (p *ports) Attach(_ context.Context, tx *db.Tx, plan network.PlannedPort, a network.Attachment) (network.Interface, network.Binding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[plan.PortID]
	if one == nil || one.host == "" {
		p.count++
		one = &port{server: a.ServerID, host: a.Host, revision: p.count}
		tx.AfterCommit(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.all[plan.PortID] = one
		})
	}
	if one.host != a.Host {
		return network.Interface{}, network.Binding{}, fault.Conflictf("the port is bound elsewhere")
	}
	return p.card(plan.PortID), network.Binding{PortID: plan.PortID, Host: a.Host, Revision: one.revision}, nil
}

func (p *ports) card(portID string) network.Interface {
	return network.Interface{PortID: portID, NetworkID: netA, NetworkName: "private", MAC: "fa:16:3e:00:00:01", MTU: 1442, Active: true, Groups: []string{"default"},
		Addresses: []network.Address{{Address: "10.0.0.5", Version: 4, SubnetID: "s"}, {Address: "203.0.113.5", Version: 4, Floating: true}},
		Subnets:   []network.SubnetInfo{{ID: "s", CIDR: "10.0.0.0/24", Version: 4, Gateway: "10.0.0.1", DNS: []string{"9.9.9.9"}}}}
}

func (p *ports) Bind(_ context.Context, portID, host string) (network.Binding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[portID]
	if one == nil {
		return network.Binding{}, fault.NotFoundf("Port %s could not be found.", portID)
	}
	if one.host != "" && one.host != host {
		return network.Binding{}, fault.Conflictf("the port is bound elsewhere")
	}
	if one.host == "" {
		p.count++
		one.host, one.revision = host, p.count
	}
	return network.Binding{PortID: portID, Host: host, Revision: one.revision}, nil
}

func (p *ports) Unbind(_ context.Context, portID string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.all[portID]; one != nil && one.host != "" {
		if p.w.usesPort(one.host, portID) {
			p.w.t.Errorf("port %s is taken off its host while a guest has it", portID)
		}
		one.host = ""
		p.count++
	}
	return nil
}

func (p *ports) Release(_ context.Context, portID string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w.usesPort("host-a", portID) || p.w.usesPort("host-b", portID) {
		p.w.t.Errorf("port %s is released while a guest has it", portID)
	}
	delete(p.all, portID)
	p.count++
	return nil
}

func (p *ports) Interfaces(_ context.Context, servers ...string) (map[string][]network.Interface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]network.Interface{}
	for portID, one := range p.all {
		if slices.Contains(servers, one.server) {
			out[one.server] = append(out[one.server], p.card(portID))
		}
	}
	return out, nil
}

func (p *ports) Shown(ctx context.Context, servers ...string) (map[string][]network.Interface, error) {
	return p.Interfaces(ctx, servers...)
}

func (p *ports) render(_ context.Context, host string) (any, int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []string{}
	for portID, one := range p.all {
		if one.host == host {
			list = append(list, portID)
		}
	}
	slices.Sort(list)
	return list, p.count, nil
}

func (p *ports) Apply(ctx context.Context, doc hostlink.Document, report func(...hostlink.ObjectReport)) error {
	var list []string
	if err := json.Unmarshal(doc.Body, &list); err != nil {
		return err
	}
	if p.held != nil {
		select {
		case <-p.held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, portID := range list {
		report(hostlink.ObjectReport{ID: portID, Phase: hostlink.Ready})
	}
	return nil
}

func (p *ports) Inventory(context.Context) ([]hostlink.ObjectReport, error) { return nil, nil }
func (p *ports) Command(context.Context, hostlink.Command) (json.RawMessage, error) {
	return nil, fault.NotFoundf("ports know no command")
}
func (p *ports) Stream(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) {
	return nil, fault.NotFoundf("ports have no stream")
}

// usesPort tells whether a guest on a host that is up has a port in its machine;
// what a dead one still has does no harm.
func (w *surroundings) usesPort(host, portID string) bool {
	guests := w.guestsOfSecond
	if host == "host-a" {
		guests = w.guestsOfFirst
	}
	return w.hub.Alive(host) && slices.ContainsFunc(guests(), func(f guest.Facts) bool {
		return slices.ContainsFunc(f.NICs, func(n guest.NICFact) bool { return n.PortID == portID && n.Attached })
	})
}

// guests are those on the hosts now.
func (w *surroundings) guests() []guest.Facts {
	return append(w.guestsOfFirst(), w.guestsOfSecond()...)
}

func (w *surroundings) guestsOfFirst() []guest.Facts {
	all, err := w.driver.List(context.Background())
	if err != nil {
		w.t.Error(err)
	}
	return all
}

func (w *surroundings) guestsOfSecond() []guest.Facts {
	if w.second == nil {
		return nil
	}
	all, err := w.second.driver.List(context.Background())
	if err != nil {
		w.t.Error(err)
	}
	return all
}

// volumes is a model of block storage.
type volumes struct {
	blockstorage.Service
	mu       sync.Mutex
	all      map[string]*blockstorage.Volume
	attached map[string]string // attachment to volume
	refuse   error             // of Connect
	shots    map[string]string // snapshot to volume
	over     []string          // images that were written over volumes
	running  func() []guest.Facts
}

func (v *volumes) Lookup(_ context.Context, _ blockstorage.Viewer, id string) (*blockstorage.Volume, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if one := v.all[id]; one != nil {
		c := *one
		return &c, nil
	}
	return nil, fault.NotFoundf("no such volume")
}

func (v *volumes) LookupSnapshot(_ context.Context, _ blockstorage.Viewer, id string) (*blockstorage.Snapshot, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if volume, ok := v.shots[id]; ok {
		return &blockstorage.Snapshot{ID: id, VolumeID: volume, SizeGiB: 1}, nil
	}
	return nil, fault.NotFoundf("no such snapshot")
}

func (v *volumes) Create(_ context.Context, in blockstorage.NewVolume) (*blockstorage.Volume, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all[in.ID] == nil {
		v.all[in.ID] = &blockstorage.Volume{ID: in.ID, SizeGiB: in.SizeGiB, Status: blockstorage.Available}
	}
	return v.all[in.ID], nil
}

func (v *volumes) Ready(_ context.Context, id string) (*blockstorage.Volume, error) {
	return v.Lookup(context.Background(), blockstorage.Viewer{}, id)
}

func (v *volumes) Discard(_ context.Context, id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, id)
	return nil
}

func (v *volumes) Reserve(_ context.Context, r blockstorage.Reservation) (*blockstorage.Attachment, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for a, volume := range v.attached {
		if volume == r.VolumeID && a != r.ID && !v.all[volume].Multiattach {
			return nil, fault.Invalidf("the volume is taken")
		}
	}
	v.attached[r.ID] = r.VolumeID
	v.all[r.VolumeID].Status = blockstorage.InUse
	return &blockstorage.Attachment{}, nil
}

func (v *volumes) Connect(_ context.Context, a, host string) (*blockstorage.Volume, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.refuse != nil {
		return nil, v.refuse
	}
	one := v.all[v.attached[a]]
	one.Attachments = append(slices.DeleteFunc(slices.Clone(one.Attachments), func(b blockstorage.Attachment) bool { return b.ID == a }), blockstorage.Attachment{ID: a, Host: host})
	return one, nil
}
func (v *volumes) Disconnect(context.Context, string, string) error { return nil }
func (v *volumes) Complete(context.Context, string, string) error   { return nil }
func (v *volumes) BeginDetach(context.Context, string) error        { return nil }
func (v *volumes) RollDetach(context.Context, string) error         { return nil }

func (v *volumes) Detach(_ context.Context, a string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if one := v.all[v.attached[a]]; one != nil {
		one.Attachments = slices.DeleteFunc(slices.Clone(one.Attachments), func(b blockstorage.Attachment) bool { return b.ID == a })
		if len(one.Attachments) == 0 {
			one.Status = blockstorage.Available
		}
	}
	delete(v.attached, a)
	return nil
}

func (v *volumes) count() (volumes, attachments int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.all), len(v.attached)
}

func caller() event.Record {
	return event.Record{Service: "compute", Kind: "server", Action: "test", ProjectID: project, UserID: "user", RequestID: "req-" + id.New()}
}

// asker is how a host asks for leave.
type asker struct {
	w    *surroundings
	host string
	*hostlink.Relay
}

func (a *asker) Tell(ctx context.Context, s hostlink.Section, object, verb string, params any) error {
	err := a.Relay.Tell(ctx, s, object, verb, params)
	if err == nil && a.w.asked != nil {
		a.w.asked(a.host)
	}
	return err
}

// rejoin connects the host again.
func (w *surroundings) rejoin() {
	w.t.Helper()
	leave, err := inproc.Join(context.Background(), w.hub, w.agent)
	if err != nil {
		w.t.Fatal(err)
	}
	w.leave = leave
}

// store writes a server's row as it is.
func (w *surroundings) store(t *testing.T, one *Server) {
	t.Helper()
	if err := w.db.Write(context.Background(), func(tx *db.Tx) error { return put(context.Background(), tx, one) }); err != nil {
		t.Fatal(err)
	}
}
