package servers

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/task"
)

// Agents are the hosts' ends that sagas talk to.
type Agents = hostlink.Hosts

// sagas are the handles of everything that servers do in the background.
type sagas struct {
	create          *task.Handle[createParams]
	remove          *task.Handle[removeParams]
	power           *task.Handle[powerParams]
	reboot          *task.Handle[rebootParams]
	attachVolume    *task.Handle[diskParams]
	detachVolume    *task.Handle[diskParams]
	attachInterface *task.Handle[nicParams]
	detachInterface *task.Handle[nicParams]

	image   *task.Handle[imageParams]
	rebuild *task.Handle[rebuildParams]
	rescue  *task.Handle[rescueParams]

	shelve   *task.Handle[shelveParams]
	offload  *task.Handle[shelveParams]
	unshelve *task.Handle[createParams]

	moveSagas
}

func (s *Servers) register() sagas {
	e := s.Tasks
	return sagas{
		create: task.Register(e, s.createSaga()), remove: task.Register(e, s.removeSaga()), power: task.Register(e, s.powerSaga()),
		reboot: task.Register(e, s.rebootSaga()), attachVolume: task.Register(e, s.attachVolumeSaga()), detachVolume: task.Register(e, s.detachVolumeSaga()),
		attachInterface: task.Register(e, s.attachInterfaceSaga()), detachInterface: task.Register(e, s.detachInterfaceSaga()),
		image: task.Register(e, s.imageSaga()), rebuild: task.Register(e, s.rebuildSaga()),
		rescue: task.Register(e, s.rescueSaga()), shelve: task.Register(e, s.shelveSaga()), offload: task.Register(e, s.offloadSaga()),
		unshelve:  task.Register(e, s.unshelveSaga()),
		moveSagas: s.registerMoves(),
	}
}

// place is where a change of desired state can be waited for.
type place struct {
	Host     string `json:"host,omitempty"`
	Revision int64  `json:"revision,omitempty"`
}

// raise notes in a transaction that what a host should have of a server has
// changed, and has it told.
func (s *Servers) raise(ctx context.Context, tx *db.Tx, host, server string) (place, error) {
	if host == "" {
		return place{}, nil
	}
	revision, err := hoststate.Raise(ctx, tx, host, string(hostlink.Guests))
	tx.AfterCommit(func() { s.Agents.Raised(host, hostlink.Guests, revision, server) })
	return place{host, revision}, err
}

// settle waits until a host has made its guest as the rows say. Failed on the
// host is Invalid here: it will not work however often it is tried.
func (s *Servers) settle(ctx context.Context, p place, server string) (guest.Facts, error) {
	var facts guest.Facts
	if p.Host == "" {
		return facts, nil
	}
	report, err := s.Agents.Await(ctx, p.Host, hostlink.Guests, p.Revision, server)
	if err != nil {
		return facts, err
	}
	if report.Phase == hostlink.Failed {
		return facts, fault.Invalidf("%s", report.Error)
	}
	if len(report.Facts) > 0 {
		if err := json.Unmarshal(report.Facts, &facts); err != nil {
			return facts, fault.Internalf("facts of guest %s: %w", server, err)
		}
	}
	return facts, nil
}

// vacate waits until a host has let go of what the rows no longer give to it. A
// host that is not there cannot keep anything from being released: when it is
// back it gets a document without it, before anything else is asked of it.
func (s *Servers) vacate(ctx context.Context, p place, server string) error {
	if p.Host == "" || !s.Agents.Alive(p.Host) {
		return nil
	}
	for { // what it has not got yet, whoever waits has sent
		report, early, err := s.awaitBriefly(ctx, p, server)
		switch {
		case err == nil && report.Phase == hostlink.Failed:
			return fault.Invalidf("%s", report.Error)
		case err == nil || !s.Agents.Alive(p.Host): // it may have died while it was asked
			return nil
		case early || ctx.Err() != nil:
			return err
		}
	}
}

// briefly is how soon one who waits for a host notices that it has died.
const briefly = 2 * time.Second

// awaitBriefly is Await for a short while; early tells that it ended for another reason.
func (s *Servers) awaitBriefly(ctx context.Context, p place, server string) (report hostlink.ObjectReport, early bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, briefly)
	defer cancel()
	report, err = s.Agents.Await(ctx, p.Host, hostlink.Guests, p.Revision, server)
	return report, ctx.Err() == nil, err
}

// removed is vacate for guests that nobody will want back: a host that cannot
// remove one is asked again, as often as it takes.
func (s *Servers) removed(ctx context.Context, server string, from ...place) error {
	for _, p := range from {
		if err := s.vacate(ctx, p, server); fault.Is(err, fault.Invalid) {
			return fault.Unavailablef("The host cannot remove the guest: %s", fault.As(err).Text)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// restored waits until a host has a guest as it was before something that is
// being undone. A host that is not there, or that cannot, holds up no undo:
// what it reports later is observed.
func (s *Servers) restored(ctx context.Context, p place, server string) error {
	if p.Host == "" || !s.Agents.Alive(p.Host) {
		return nil
	}
	_, err := s.settle(ctx, p, server)
	if fault.Is(err, fault.Invalid) || (err != nil && !s.Agents.Alive(p.Host)) {
		return nil
	}
	return err
}

// touch edits a server's row in a saga's transaction. A row that is gone is no
// error: whatever was to be said about it is said to nobody.
func (s *Servers) touch(ctx context.Context, tx *db.Tx, id string, fn func(one *Server) error) error {
	one, err := lockServer(ctx, tx, id)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := fn(one); err != nil {
		return err
	}
	one.UpdatedAt = stamp(s.Clock)
	return put(ctx, tx, one)
}

// devices loads the disks and cards of one server.
func (s *Servers) devices(ctx context.Context, q db.Querier, server string) ([]*Disk, []*NIC, error) {
	disks, err := disksOf(ctx, q, server)
	if err != nil {
		return nil, nil, err
	}
	nics, err := nicsOf(ctx, q, server)
	return disks[server], nics[server], err
}

// failed writes what went wrong into a server.
func (s *Servers) failed(one *Server, why error, request string) {
	f := fault.As(why)
	one.Fault = &compute.ServerFault{Code: 500, Message: publicText(why), CreatedAt: stamp(s.Clock), RequestID: request}
	if f.Kind == fault.NotFound {
		one.Fault.Code = 404
	}
}
