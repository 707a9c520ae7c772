package hosts

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

// DefaultZone is the zone of hosts that nobody put elsewhere.
const DefaultZone = "nova"

// Provider is what Placement must know of a host.
type Provider struct {
	ID, Name  string
	CPUs      int
	MemoryMiB int
	DiskGiB   int
	Traits    []string
	Disabled  bool
}

// Placement keeps the inventory of hosts; called again it changes nothing.
type Placement interface {
	EnsureHost(ctx context.Context, p Provider) error
	// RemoveHost forgets a host; Conflict while anything is allocated there.
	RemoveHost(ctx context.Context, id string) error
}

// Alive tells whether a host's lease holds.
type Alive interface{ Alive(host string) bool }

// Use is what the servers of one host take.
type Use struct {
	CPUs, MemoryMiB, DiskGiB int
	Servers                  int // running ones
	Busy                     int // servers with a task
}

// Servers counts what hosts carry.
type Servers interface {
	HostUse(ctx context.Context) (map[string]Use, error)
	OnHost(ctx context.Context, host string) ([]Resident, error)
}

// Resident is a server on a host, as hypervisor lists name it.
type Resident struct{ ID, InstanceName string }

// Hosts is the service behind the API. Safe for concurrent use.
type Hosts struct {
	db        *db.DB
	clock     clock.Clock
	placement Placement
	alive     Alive
	servers   Servers
	server    string // this server's host name
	onRemove  []Removal
	started   time.Time

	recent recent

	mu   sync.Mutex
	lost map[string]time.Time // when a host's lease ended
}

// downAfter is how long a host may be silent before it counts as down: an
// agent or a server that restarts takes seconds, and what is asked of its
// hosts meanwhile waits. Nova's service_down_time has the same default.
const downAfter = time.Minute

// New makes the service of the server with a host name.
func New(d *db.DB, c clock.Clock, p Placement, a Alive, s Servers, server string) *Hosts {
	return &Hosts{db: d, clock: c, placement: p, alive: a, servers: s, server: server, started: c.Now(), lost: map[string]time.Time{}}
}

// Removal is another service's part in removing a host; an error keeps the host.
type Removal struct {
	Check  func(ctx context.Context, host string) error            // before; may be nil
	Commit func(ctx context.Context, tx *db.Tx, host string) error // in the transaction; may be nil
}

// OnRemove adds a part. For wiring, before the first request.
func (s *Hosts) OnRemove(r Removal) { s.onRemove = append(s.onRemove, r) }

// LeaseChanged notes when a host falls silent; a hub's observer of leases.
func (s *Hosts) LeaseChanged(host string, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if alive {
		delete(s.lost, host)
		return
	}
	s.lost[host] = s.clock.Now()
}

// up tells whether a host answers, or did a moment ago.
func (s *Hosts) up(host string) bool {
	if s.alive.Alive(host) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	silent, known := s.lost[host]
	if !known {
		silent = s.started // before that, another process saw it
	}
	return s.clock.Now().Sub(silent) < downAfter
}

// Facts is what a host's agent says of it.
type Facts struct {
	Arch      string            `json:"arch"`
	CPUs      int               `json:"cpus"`
	MemoryMiB int               `json:"memory_mib"`
	DiskGiB   int               `json:"disk_gib"`
	Address   string            `json:"address"`
	Driver    string            `json:"driver"`
	DriverVer int               `json:"driver_version"`
	Traits    []string          `json:"traits"`
	More      map[string]string `json:"more"`
}

// Host is one machine as other features see it.
type Host struct {
	ID, ServiceID, Name, Zone string
	Serial                    int64
	Facts                     Facts
	Disabled                  bool
	DisabledReason            string
	ForcedDown                bool
	Up                        bool
	Silent                    bool  // it does not answer now; up until that has lasted for a while
	SeenAt                    int64 // microseconds
}

// Usable tells whether new servers may go there.
func (h *Host) Usable() bool { return h.Up && !h.Disabled }

func (s *Hosts) host(r *row) *Host {
	return &Host{ID: r.ID, ServiceID: r.ServiceID, Name: r.Name, Zone: r.Zone, Serial: r.Serial, Facts: r.Facts.V, Disabled: r.Disabled,
		DisabledReason: r.DisabledReason, ForcedDown: r.ForcedDown, SeenAt: r.SeenAt, Up: !r.ForcedDown && s.up(r.Name), Silent: !s.alive.Alive(r.Name)}
}

// List gives all hosts in the order of their names.
func (s *Hosts) List(ctx context.Context) ([]*Host, error) {
	found, err := rows.List(ctx, s.db, listing.Query{Order: []listing.Order{{Column: "name"}}})
	out := make([]*Host, len(found))
	for i, r := range found {
		out[i] = s.host(r)
	}
	return out, err
}

// Get loads a host by its name.
func (s *Hosts) Get(ctx context.Context, name string) (*Host, error) {
	r, err := byName(ctx, s.db, name)
	if err != nil {
		return nil, err
	}
	return s.host(r), nil
}

func (s *Hosts) provider(r *row) Provider {
	f := r.Facts.V
	return Provider{ID: r.ID, Name: r.Name, CPUs: f.CPUs, MemoryMiB: f.MemoryMiB, DiskGiB: f.DiskGiB, Traits: f.Traits, Disabled: r.Disabled}
}

// change edits a host's row and tells Placement.
func (s *Hosts) change(ctx context.Context, name string, record event.Record, fn func(*row)) (*Host, error) {
	var r *row
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if r, err = byName(ctx, tx, name); err != nil {
			return err
		}
		fn(r)
		if err := s.changed(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := rows.Update(ctx, tx, r); err != nil {
			return err
		}
		record.Object = r.ServiceID
		return outbox.Write(ctx, tx, record)
	})
	if err != nil {
		return nil, err
	}
	return s.host(r), s.placement.EnsureHost(ctx, s.provider(r))
}

// remove deletes a host that carries no server; Conflict otherwise.
func (s *Hosts) remove(ctx context.Context, name string, record event.Record) error {
	residents, err := s.servers.OnHost(ctx, name)
	if err != nil {
		return err
	}
	if len(residents) > 0 {
		return fault.Conflictf("Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
	}
	known, err := byName(ctx, s.db, name)
	if err != nil {
		return err
	}
	for _, f := range s.onRemove {
		if f.Check == nil {
			continue
		}
		if err := f.Check(ctx, name); err != nil {
			return err
		}
	}
	if err := s.placement.RemoveHost(ctx, known.ID); err != nil {
		return err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := byName(ctx, tx, name)
		if err != nil {
			return err
		}
		record.Object = r.ServiceID
		for _, f := range s.onRemove {
			if f.Commit == nil {
				continue
			}
			if err := f.Commit(ctx, tx, name); err != nil {
				return err
			}
		}
		if err := s.changed(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := rows.Delete(ctx, tx, r.ID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if err != nil {
		return err
	}
	return s.placement.RemoveHost(ctx, known.ID) // again: its agent may have said hello meanwhile
}

func wireTime(us int64) string {
	return clock.FromMicros(us).Format("2006-01-02T15:04:05.000000")
}

// uptime is how long a host's kernel runs, in the words of uptime(1).
func uptime(now time.Time, f Facts) any {
	boot, err := time.Parse(time.RFC3339, f.More["boot_time"])
	if err != nil {
		return nil // the agent does not know
	}
	up := now.Sub(boot)
	days, hours, minutes := int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60
	return formatUptime(now, days, hours, minutes, f.More["load"])
}

// Answers tells whether a host is up. One that is not there is not.
func (s *Hosts) Answers(ctx context.Context, host string) (bool, error) {
	h, err := s.RecentByName(ctx, host)
	return h != nil && h.Up, err
}

// SetZone puts a host into a zone; an empty zone is the default one.
func (s *Hosts) SetZone(ctx context.Context, tx *db.Tx, host, zone string) error {
	r, err := byName(ctx, tx, host)
	if err != nil {
		return err
	}
	if zone == "" {
		zone = DefaultZone
	}
	r.Zone = zone
	if err := s.changed(ctx, tx, r.ID); err != nil {
		return err
	}
	return rows.Update(ctx, tx, r)
}
