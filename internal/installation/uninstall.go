package installation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
	"github.com/mekcloud/mek/internal/ledger/host"
)

// UninstallOptions are what only "mek uninstall" is told.
type UninstallOptions struct {
	Purge bool // the data directory goes too, with every disk and image in it
	// Confirm asks the person, after showing the list; nil: go on.
	Confirm func(question string) bool
}

// Uninstall takes back every change of the host, newest first. Packages stay:
// by now they may serve others.
func (i *Installation) Uninstall(ctx context.Context, o UninstallOptions) error {
	if err := i.need(); err != nil {
		return err
	}
	led, err := i.ledger()
	if err != nil {
		return err
	}
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer unlock()
	live, err := led.Live()
	if err != nil {
		return err
	}
	packages := i.showChanges(live)
	if o.Confirm != nil && !o.Confirm(i.question(o.Purge)) {
		return &Failure{What: "nothing was changed"}
	}
	if err := i.stop(ctx, true); err != nil {
		return err
	}
	if err := i.takeBack(ctx, led); err != nil {
		return &Failure{What: "some changes could not be taken back", Why: err, Do: "Remove the cause, then run mek uninstall again: it goes on from here."}
	}
	if o.Purge {
		if err := i.purge(live); err != nil {
			return err
		}
	}
	i.Print.step(markDone, "uninstalled", "host as before: yes")
	if len(packages) > 0 {
		i.Print.line("    Packages stay. Without another use for them:  apt-get remove %s", strings.Join(packages, " "))
	}
	return nil
}

func (i *Installation) question(purge bool) string {
	if purge {
		return "Everything in " + i.cfg.DataDir + " is lost: servers, volumes, images, users. Type the name of this host to go on"
	}
	return "Data stays in " + i.cfg.DataDir + ". Type the name of this host to go on"
}

// showChanges lists what will be taken back and returns the packages, which stay.
func (i *Installation) showChanges(live []ledger.Change) (packages []string) {
	i.Print.line("\n  Taken back, newest first")
	for _, c := range slices.Backward(live) {
		if c.Kind == ledger.Package {
			packages = append(packages, c.Name)
			continue
		}
		i.Print.line("    %-10s %s", c.Kind, c.Name)
	}
	return packages
}

// takeBack replays the ledger. What several clouds share goes with the last.
func (i *Installation) takeBack(ctx context.Context, led *ledger.Ledger) error {
	if err := errors.Join(i.removeClouds(led), i.releaseIDs()); err != nil {
		return err
	}
	others, near, err := i.otherClouds()
	if err != nil {
		return err
	}
	if len(others) > 0 {
		if err := i.handOver(led, others[0], sharedByMachine); err != nil {
			return err
		}
	}
	if len(near) > 0 {
		if err := i.handOver(led, near[0], sharedByNetwork); err != nil {
			return err
		}
	}
	// What was handed over by another cloud is younger than what lies in it.
	for _, shared := range []bool{false, true} {
		_, err := led.Replay(ctx, host.Host{}, func(c ledger.Change) bool {
			return c.Kind != ledger.Package && c.Detail["above"] == "" && sharedByMachine(c) == shared
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeClouds takes our entries out of people's clouds.yaml, which are theirs.
func (i *Installation) removeClouds(led *ledger.Ledger) error {
	live, err := led.Live()
	if err != nil {
		return err
	}
	for _, c := range live {
		if c.Kind != ledger.File || c.Detail["clouds"] == "" {
			continue
		}
		for _, url := range []string{c.Detail["clouds"], i.authURL()} {
			if err := cloudsyaml.Remove(c.Name, []string{"admin", "demo"}, url); err != nil {
				return err
			}
		}
		if err := led.Forget(c.Kind, c.Name); err != nil {
			return err
		}
	}
	return nil
}

// sharedByMachine is what all clouds of a machine use together.
func sharedByMachine(c ledger.Change) bool {
	return c.Name == plan.ServiceUser && (c.Kind == ledger.User || c.Kind == ledger.Group) || c.Kind == ledger.Package ||
		c.Kind == ledger.Dir && c.Detail["shared"] != ""
}

// sharedByNetwork is what clouds of one network namespace use together.
func sharedByNetwork(c ledger.Change) bool {
	return c.Kind == ledger.Sysctl || c.Kind == ledger.Link && c.Name == plan.UserspaceLink
}

// handOver gives what is shared to another cloud's ledger.
func (i *Installation) handOver(led *ledger.Ledger, dataDir string, shared func(ledger.Change) bool) error {
	live, err := led.Live()
	if err != nil {
		return err
	}
	heir, err := ledger.Open(filepath.Join(dataDir, "ledger"), i.Clock)
	if err != nil {
		return err
	}
	for _, c := range live {
		if !shared(c) {
			continue
		}
		if err := heir.Record(c); err != nil {
			return err
		}
		if err := led.Forget(c.Kind, c.Name); err != nil {
			return err
		}
	}
	return nil
}

// purge removes the data directory, and folders above it that up had to make.
func (i *Installation) purge(was []ledger.Change) error {
	if err := os.RemoveAll(i.cfg.DataDir); err != nil {
		return &Failure{What: "data directory cannot be removed", Why: err, Do: "Remove it by hand:  rm -r " + i.cfg.DataDir}
	}
	for _, c := range slices.Backward(was) {
		if c.Kind == ledger.Dir && c.Detail["above"] != "" {
			if err := (host.Host{}).Undo(context.Background(), c); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
