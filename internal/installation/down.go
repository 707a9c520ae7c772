package installation

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/installation/plan"
)

// Down stops the cloud. Guests, their network and their disks go on, unless
// guests is set: then they are shut down and the network's engines stop too.
func (i *Installation) Down(ctx context.Context, guests bool) error {
	if err := i.need(); err != nil {
		return err
	}
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return i.stop(ctx, guests)
}

// order of stopping: what keeps others running first, what others need last.
// Engines are listed by what they are started as in packages of the network.
var order = []string{plan.SupervisorName, plan.AgentName, plan.ServerName, "ovn-controller", "ovn-northd", "ovs-vswitchd", "ovs-db", "ovn-sb", "ovn-nb"}

// forGuests are the engines that running guests need.
var forGuests = map[string]bool{"ovn-controller": true, "ovs-vswitchd": true, "ovs-db": true, "ovn-sb": true}

func (i *Installation) stop(ctx context.Context, guests bool) error {
	set, err := i.engines()
	if err != nil {
		return err
	}
	if err := i.stopSystemd(ctx); err != nil {
		return err
	}
	own := order[:3]
	if err := i.stopAll(ctx, set, own, nil); err != nil {
		return err
	}
	if guests {
		n, err := i.stopGuests(ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			i.Print.step(markDone, "guests", "%d shut down", n)
		}
	}
	left, err := i.guestProcesses()
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	if len(left) > 0 && !guests {
		keep = forGuests
		i.Print.step(markDone, "guests", "%d go on, with their network; mek down --guests stops them", len(left))
	}
	if err := i.stopAll(ctx, set, order[3:], keep); err != nil {
		return err
	}
	if err := i.stopUnknown(ctx, set, keep); err != nil {
		return err
	}
	i.Print.step(markDone, "stopped", "%s", i.cfg.DataDir)
	return nil
}

func (i *Installation) stopSystemd(ctx context.Context) error {
	if !systemdRuns() {
		return nil
	}
	if _, err := os.Stat("/etc/systemd/system/" + i.unitName()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return systemctl(ctx, "disable", "--now", i.unitName())
}

func (i *Installation) stopAll(ctx context.Context, set *engine.Set, names []string, keep map[string]bool) error {
	for _, name := range names {
		if keep[name] {
			continue
		}
		if err := set.Stop(ctx, name, 10*time.Second); err != nil {
			return &Failure{What: name + " does not stop", Why: err, Look: i.cfg.Path("log")}
		}
	}
	return nil
}

// stopUnknown stops what an older program started under names we do not use.
func (i *Installation) stopUnknown(ctx context.Context, set *engine.Set, keep map[string]bool) error {
	states, err := set.List()
	if err != nil {
		return err
	}
	for _, st := range states {
		if err := i.stopAll(ctx, set, []string{st.Name}, keep); err != nil {
			return err
		}
	}
	return nil
}
