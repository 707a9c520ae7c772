package installation

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/installation/plan"
)

// Status is the health of a cloud, as "mek status --json" prints it.
type Status struct {
	DataDir   string         `json:"data_dir"`
	Version   string         `json:"version"`
	State     string         `json:"state"` // ready, degraded or stopped
	API       string         `json:"api"`
	Simulated int            `json:"simulated_hosts"`
	Guests    int            `json:"guests"` // processes of guests on this host
	Processes []engine.State `json:"processes"`
	Problems  []string       `json:"problems"`
}

// The states of a cloud.
const (
	StateReady    = "ready"
	StateDegraded = "degraded"
	StateStopped  = "stopped"
)

// Look finds out how the cloud is, changing nothing.
func (i *Installation) Look(ctx context.Context) (Status, error) {
	st := Status{DataDir: i.cfg.DataDir, Version: i.Version, State: StateReady, API: plan.LocalURL(i.cfg), Simulated: i.cfg.Simulate, Problems: []string{}}
	set, err := i.engines()
	if err != nil {
		return st, err
	}
	if st.Processes, err = set.List(); err != nil {
		return st, err
	}
	up := 0
	for _, p := range st.Processes {
		if p.Running {
			up++
		} else {
			st.Problems = append(st.Problems, p.Name+" does not run")
		}
	}
	guests, err := i.guestProcesses()
	if err != nil {
		return st, err
	}
	st.Guests = len(guests)
	healthy, main := plan.Healthy(ctx, i.cfg), plan.ServerName
	if i.cfg.Joined() {
		st.API, healthy, main = i.cfg.Join.API[0], i.hostReady(ctx), plan.AgentName
	}
	if healthy != nil {
		st.Problems = append(st.Problems, healthy.Error())
	}
	if !set.Status(plan.SupervisorName).Running && !systemdRuns() {
		st.Problems = append(st.Problems, "the supervisor does not run: what dies stays dead")
	}
	if len(st.Problems) > 0 {
		st.State = StateDegraded
	}
	if !set.Status(main).Running && !set.Status(plan.SupervisorName).Running {
		st.State = StateStopped
	}
	return st, nil
}

// Status prints the health; the error has exit code 3 when not all is well.
func (i *Installation) Status(ctx context.Context) error {
	if err := i.need(); err != nil {
		return err
	}
	st, err := i.Look(ctx)
	if err != nil {
		return err
	}
	if i.Print.JSON {
		if err := i.Print.object(st); err != nil {
			return err
		}
	} else {
		i.showStatus(st)
	}
	if st.State == StateReady {
		return nil
	}
	return &Failure{Code: ExitDegraded, What: "the cloud is " + st.State, Do: "Start or repair it:  mek up --data-dir " + i.cfg.DataDir, Look: i.cfg.Path("log")}
}

func (i *Installation) showStatus(st Status) {
	i.Print.line("\n  mek %s · %s · %s", st.Version, st.DataDir, st.State)
	for _, p := range st.Processes {
		mark, text := markDone, "running since "+p.Started.Format("2006-01-02 15:04:05")
		if !p.Running {
			mark, text = markFailed, "does not run"
		}
		i.Print.step(mark, p.Name, "%s", text)
	}
	for _, problem := range st.Problems {
		i.Print.step(markLimited, "problem", "%s", problem)
	}
	if st.Guests > 0 {
		i.Print.step(markDone, "guests", "%d on this host", st.Guests)
	}
	if i.cfg.Joined() {
		i.Print.line("\n  Host %s of the cloud at %s\n", i.cfg.HostName, st.API)
		return
	}
	i.closing(i.cloudsFile())
}

// Wait returns when the cloud is ready, or with exit code 5 after the timeout.
func (i *Installation) Wait(ctx context.Context, timeout time.Duration) error {
	begun := i.Clock.Now()
	for {
		last := "there is no cloud in " + i.cfg.DataDir
		if i.exists() {
			if fresh, err := New(i.Options); err == nil { // "up" may have chosen another port meanwhile
				i.cfg = fresh.cfg
			}
			st, err := i.Look(ctx)
			if err != nil {
				return err
			}
			if st.State == StateReady && i.agentReady(ctx) {
				return nil
			}
			last = "the cloud is " + st.State
			if len(st.Problems) > 0 {
				last += ": " + st.Problems[0]
			}
		}
		if i.Clock.Now().Sub(begun) > timeout {
			return &Failure{Code: ExitTimeout, What: "not ready after " + timeout.String() + ", " + last, Look: i.cfg.Path("log")}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-i.Clock.After(100 * time.Millisecond):
		}
	}
}

// agentReady tells whether the server knows this host.
func (i *Installation) agentReady(ctx context.Context) bool {
	return !i.cfg.HostHere() || plan.AgentReady(i.cfg)(ctx) == nil
}
