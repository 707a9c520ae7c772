package preflight

import (
	"context"
	"fmt"

	"github.com/mekcloud/mek/internal/config"
)

// Outcome of a check.
type Outcome string

// The outcomes, from good to bad.
const (
	OK      Outcome = "ok"
	Limited Outcome = "limited"
	Blocked Outcome = "blocked"
)

// Result is what one check found.
type Result struct {
	Check   string  `json:"check"`
	Outcome Outcome `json:"outcome"`
	Found   string  `json:"found"`        // the numbers, the names
	Do      string  `json:"do,omitempty"` // what the operator can do; empty when ok
}

// Choices are settings that the checks picked because the first choice was taken.
type Choices map[string]any

// Want is what the checks look for.
type Want struct {
	Config      config.Config
	ListenGiven bool // the operator named the port: no other is chosen
	Running     bool // this cloud runs already: its own ports are no obstacle
	Host        bool // it joins a cloud: no API is served here
	Fixed       bool // its address ranges were chosen before, and its networks have them
}

// Run makes every check that applies.
func Run(ctx context.Context, w Want) ([]Result, Choices) {
	choices := Choices{}
	results := []Result{fileSystem(w.Config.DataDir), memoryAndDisk(w.Config)}
	if w.Config.HostHere() {
		results = append(results, virtualisation(), reachable(w.Config.DataDir), clockSync(ctx))
		results = append(results, ranges(w, choices), forwarding(ctx), others())
	}
	if !w.Host {
		results = append(results, ports(w, choices))
	}
	results = append(results, hostName(w.Config.HostName))
	return results, choices
}

// Worst is the worst outcome of all.
func Worst(results []Result) Outcome {
	worst := OK
	for _, r := range results {
		if r.Outcome == Blocked || r.Outcome == Limited && worst == OK {
			worst = r.Outcome
		}
	}
	return worst
}

func ok(check, format string, args ...any) Result {
	return Result{Check: check, Outcome: OK, Found: fmt.Sprintf(format, args...)}
}

func limited(check, found, do string) Result {
	return Result{Check: check, Outcome: Limited, Found: found, Do: do}
}

func blocked(check, found, do string) Result {
	return Result{Check: check, Outcome: Blocked, Found: found, Do: do}
}
