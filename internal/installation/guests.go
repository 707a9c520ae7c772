package installation

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest/qmp"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/ledger"
)

// Guests belong to nobody but their control group, which is named after the
// cloud and the server; where there are no groups, to the record in their
// folder. That is how they are found with the agent down.

// cgroupRoots are the mount points of the trees that guests are put in: the
// version 2 tree first, then those of version 1's controllers.
func cgroupRoots() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for control groups: %w", err)
	}
	defer f.Close()
	var two, one []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		point, kind, options := mountLine(lines.Text())
		switch {
		case kind == "cgroup2":
			two = append(two, point)
		case kind == "cgroup" && slices.ContainsFunc([]string{"cpu", "memory", "pids"}, func(c string) bool { return slices.Contains(options, c) }):
			one = append(one, point)
		}
	}
	return append(two, one...), nil
}

// mountLine takes the mount point, type and options out of a line of mountinfo.
func mountLine(line string) (point, kind string, options []string) {
	f := strings.Fields(line)
	dash := slices.Index(f, "-")
	if dash < 5 || len(f) < dash+4 {
		return "", "", nil
	}
	return f[4], f[dash+1], strings.Split(f[dash+3], ",")
}

// recordCgroups announces the groups that the agent makes for guests.
func (i *Installation) recordCgroups(led *ledger.Ledger) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		shared := filepath.Join(root, "mek")
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: shared, Detail: map[string]string{"keep": "others", "shared": "machine"}}); err != nil {
			return err
		}
		if err := led.Record(ledger.Change{Kind: ledger.Cgroup, Name: filepath.Join(shared, i.cfg.Hash)}); err != nil {
			return err
		}
	}
	return nil
}

// guestProcesses is the process ids of running guests, by server.
func (i *Installation) guestProcesses() (map[string][]int, error) {
	roots, err := cgroupRoots()
	if err != nil {
		return nil, err
	}
	found := map[string][]int{}
	add := func(server string, pid int) {
		if !slices.Contains(found[server], pid) {
			found[server] = append(found[server], pid)
		}
	}
	for _, root := range roots {
		files, err := filepath.Glob(filepath.Join(root, "mek", i.cfg.Hash, "*", "cgroup.procs"))
		if err != nil {
			return nil, fmt.Errorf("look for guests: %w", err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				continue // gone in the meantime
			}
			for _, word := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(word); err == nil {
					add(filepath.Base(filepath.Dir(file)), pid)
				}
			}
		}
	}
	return found, i.recordedGuests(add)
}

// recordedGuests finds guests by the records that their driver keeps.
func (i *Installation) recordedGuests(add func(server string, pid int)) error {
	files, err := filepath.Glob(filepath.Join(i.cfg.Agent().InstanceDir, "guests", "*", "guest.json"))
	if err != nil {
		return fmt.Errorf("look for guests: %w", err)
	}
	for _, file := range files {
		var record struct {
			Process *struct {
				PID   int    `json:"pid"`
				Ticks uint64 `json:"ticks"`
				Boot  string `json:"boot"`
			} `json:"process"`
		}
		b, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(b, &record) != nil {
			continue // gone in the meantime, or being written: the driver decides about it
		}
		if p := record.Process; p != nil && engine.Alive(p.PID, p.Ticks, p.Boot) {
			add(filepath.Base(filepath.Dir(file)), p.PID)
		}
	}
	return nil
}

// powerGrace is how long guests may take to shut down by themselves.
const powerGrace = 20 * time.Second

// stopGuests presses every guest's power button, waits, and kills what is left.
// The agent must be down: a guest's monitor serves one client.
func (i *Installation) stopGuests(ctx context.Context) (count int, err error) {
	running, err := i.guestProcesses()
	if err != nil {
		return 0, err
	}
	deadline, cancel := context.WithTimeout(ctx, powerGrace)
	defer cancel()
	var subs []*qmp.Subscription
	for server := range running {
		client, sub, err := i.pressPower(deadline, server)
		if err != nil {
			i.Log.Warn("guest cannot be asked to shut down", "server", server, "error", err)
			continue
		}
		defer client.Close()
		subs = append(subs, sub)
	}
	for _, sub := range subs {
		if _, err := sub.Next(deadline); err != nil {
			break // too late for all of them
		}
	}
	return len(running), i.killGuests()
}

func (i *Installation) pressPower(ctx context.Context, server string) (*qmp.Client, *qmp.Subscription, error) {
	client, err := qmp.Dial(ctx, filepath.Join(i.cfg.Agent().Sockets, server, "qmp"))
	if err != nil {
		return nil, nil, err
	}
	sub := client.Subscribe("SHUTDOWN")
	if err := client.Execute(ctx, "system_powerdown", nil, nil); err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, sub, nil
}

// killGuests empties this cloud's control groups, and kills what is recorded
// where there are none.
func (i *Installation) killGuests() error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		err := os.WriteFile(filepath.Join(root, "mek", i.cfg.Hash, "cgroup.kill"), []byte("1"), 0)
		if err == nil {
			break // the version 2 tree knows every process
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("kill guests: %w", err)
		}
	}
	for range 200 {
		left, err := i.guestProcesses()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pids := range left {
			for _, pid := range pids {
				if p, err := os.FindProcess(pid); err == nil {
					_ = p.Kill() // gone in the meantime is what is wanted
				}
			}
		}
		<-i.Clock.After(10 * time.Millisecond)
	}
	return errors.New("guests do not die")
}

// releaseIDs gives back the user ids of this cloud's guests. They are files
// named by the id, holding the cloud's hash, a slash and the guest's name.
func (i *Installation) releaseIDs() error {
	dir := filepath.Join(config.RunRoot(), "ids")
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("user ids of guests: %w", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || !strings.HasPrefix(string(b), i.cfg.Hash+"/") {
			continue // another cloud's, or given back meanwhile
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("user ids of guests: %w", err)
		}
	}
	return nil
}
