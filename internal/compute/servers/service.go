package servers

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/task"
)

// Deps is what servers are built on. All are needed but Groups.
type Deps struct {
	DB        *db.DB
	Clock     clock.Clock
	Log       *slog.Logger
	Tasks     *task.Engine
	Agents    Agents
	Hosts     Hosts
	Flavors   Flavors
	Keys      Keys
	Images    image.Service
	Networks  network.ForCompute
	Volumes   blockstorage.Service
	Placement placement.Allocator
	Quota     Quota
	Groups    Groups // nil: there are no server groups
	Sealer    Sealer // of user data and files; nil: they are stored as they come

	// ConfirmAfter is when a resize is confirmed by itself; 0: never.
	ConfirmAfter time.Duration
	// KeepHistory is how long it is known what servers were that are gone: their
	// action logs, migrations and usage; 0: for ever.
	KeepHistory time.Duration
}

// Hosts knows the machines that servers can go to.
type Hosts interface {
	SchedulerHosts(ctx context.Context) ([]scheduler.Host, error)
	// SchedulerHost finds one host by its name, without looking at all others.
	SchedulerHost(ctx context.Context, name string) (h scheduler.Host, found bool, err error)
	// SchedulerHostByID finds hosts by their provider, as they are now.
	SchedulerHostByID(ctx context.Context) (func(id string) (scheduler.Host, bool), error)
}

// Flavors finds a flavor that a project may use; NotFound otherwise.
type Flavors interface {
	Get(ctx context.Context, flavorID, project string) (*compute.Flavor, error)
}

// Keys finds a user's key pair by name; NotFound otherwise.
type Keys interface {
	Get(ctx context.Context, userID, name string) (*compute.KeyPair, error)
}

// Quota checks the limits of a project (package quota).
type Quota interface {
	Check(ctx context.Context, tx *db.Tx, project string, deltas map[string]int64) error
	Limits(ctx context.Context, q db.Querier, project string) (map[string]int64, error)
}

// Groups knows server groups. Which servers are in one is told by InGroup.
type Groups interface {
	// Rule answers what a group asks. NotFound for a group the project does not have.
	Rule(ctx context.Context, project, group string) (GroupRule, error)
	// Lock is Rule, and holds the group until the transaction ends: members are
	// placed one after another.
	Lock(ctx context.Context, tx *db.Tx, group string) (GroupRule, error)
}

// GroupRule is what a server group asks of its members' hosts.
type GroupRule struct {
	Policy     string // "affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"
	MaxPerHost int    // how many members a host may have under anti-affinity; 0 is 1
}

// Servers is the service behind the API. Safe for concurrent use.
type Servers struct {
	Deps
	store  store
	sagas  sagas
	glance time.Duration
	// How far the reconcilers that look at every server have come.
	powerWalk, cardWalk walk
}

// New makes the service and registers its sagas.
func New(d Deps) *Servers {
	s := &Servers{Deps: d, store: store{d.DB}, glance: glanceEvery}
	s.sagas = s.register()
	return s
}

// Use is what the servers of one host take.
type Use struct {
	CPUs, MemoryMiB, DiskGiB int
	Servers                  int
	Busy                     int // servers with a task
}

// HostUse adds up what the servers of each host take, by host name.
func (s *Servers) HostUse(ctx context.Context) (map[string]Use, error) { return hostUse(ctx, s.DB) }

// OnHost lists the servers placed on a host.
func (s *Servers) OnHost(ctx context.Context, host string) ([]*compute.Server, error) {
	all, err := onHost(ctx, s.DB, host)
	out := make([]*compute.Server, len(all))
	for i, one := range all {
		out[i] = &one.Server
	}
	return out, err
}

// Get loads a server; NotFound when there is none.
func (s *Servers) Get(ctx context.Context, id string) (*compute.Server, error) {
	one, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &one.Server, nil
}

// InGroups lists the servers of server groups, oldest first, by the group's id.
func (s *Servers) InGroups(ctx context.Context, groups []string) (map[string][]string, error) {
	return inGroups(ctx, s.DB, groups)
}

// LeaveGroup takes its members out of a server group that is deleted.
func (s *Servers) LeaveGroup(ctx context.Context, tx *db.Tx, group string) error {
	return leaveGroup(ctx, tx, group)
}

// HostMayRead tells whether a host has a server that is made from an image
// (image.Claims).
func (s *Servers) HostMayRead(ctx context.Context, host, imageID string) (bool, error) {
	return usesImage(ctx, s.DB, host, imageID)
}

// InstanceName is the name of a server's guest on its host.
func InstanceName(s *compute.Server) string { return instanceName(s.Serial) }

// change edits a server's row under its lock, with its audit record.
func (s *Servers) change(ctx context.Context, id string, record event.Record, fn func(tx *db.Tx, one *Server) error) (one *Server, err error) {
	now := stamp(s.Clock)
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		if one, err = lockServer(ctx, tx, id); err != nil {
			return err
		}
		one.UpdatedAt = now
		if err := fn(tx, one); err != nil {
			return err
		}
		if err := put(ctx, tx, one); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return one, err
}

// allowed refuses an action in the wrong state, in upstream's words.
func allowed(one *Server, action string) error {
	if compute.Allows(action, one.VM, one.Task) {
		return nil
	}
	name := actionWords(action)
	inVM := compute.Allows(action, one.VM, compute.NoTask)
	if inVM {
		return fault.Conflictf("Cannot '%s' instance %s while it is in task_state %s", name, one.ID, one.Task)
	}
	return fault.Conflictf("Cannot '%s' instance %s while it is in vm_state %s", name, one.ID, one.VM)
}

func actionWords(action string) string {
	switch action {
	case "os-start":
		return "start"
	case "os-stop":
		return "stop"
	case "reboot_soft":
		return "reboot"
	}
	return action
}

// unlocked refuses a change of a locked server, unless the caller may.
func unlocked(one *Server, override bool) error {
	if one.Locked && !override {
		return fault.Conflictf("Instance %s is locked", one.ID)
	}
	return nil
}

func publicText(err error) string {
	f := fault.As(err)
	if f.Kind == fault.Internal || f.Text == "" {
		return "An internal error occurred."
	}
	return f.Text
}

// mustJSON writes plain values as JSON.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only maps, slices, strings and numbers are given
	}
	return b
}
