package app

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var update = flag.Bool("update", false, "write the differences found to testdata/policy/differences.tsv, reasons of known ones kept")

const (
	upstreamFile    = "testdata/policy/upstream.tsv"
	differencesFile = "testdata/policy/differences.tsv"
)

// TestUpstreamDefaults compares the rules of every service with those that
// OpenStack ships, by what they mean. Each difference stands in a table with its
// reason; a difference without one fails, and so does a reason without one.
func TestUpstreamDefaults(t *testing.T) {
	ours, used := registeredRules(t)
	found := map[string]string{}
	for service, theirs := range upstreamDefaults(t) {
		maps.Copy(found, compareRules(t, service, ours[service], theirs, used[service]))
	}
	reasons := readReasons(t)
	if *update {
		writeReasons(t, found, reasons)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		why, known := reasons[key]
		if !known || why[1] == "" || why[0] != found[key] {
			t.Errorf("%s\t%s: without a reason in %s", key, found[key], differencesFile)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(reasons)) {
		if found[key] == "" {
			t.Errorf("%s: listed in %s, but there is no such difference", key, differencesFile)
		}
	}
}

// registeredRules builds a control plane and asks it: each service's enforcer,
// and the rules that its routes name.
func registeredRules(t *testing.T) (map[string]*policy.Enforcer, map[string]map[string]bool) {
	conf := config.Default(t.TempDir())
	conf.Simulate, conf.InsecureHTTP, conf.Listen = 1, true, "127.0.0.1:0"
	log := slog.New(slog.DiscardHandler)
	h := hub.New(hub.Config{Clock: clock.Real{}, Log: log})
	t.Cleanup(h.Close)
	built, err := Build(context.Background(), Parts{Config: conf.Server(), DB: dbtest.One(t), Clock: clock.Real{}, Log: log, Hub: h, Master: id.Bytes(32),
		Bootstrap: config.Bootstrap{AdminPassword: "a", DemoPassword: "b", ServicePassword: "c"}, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	enforcers, used := map[string]*policy.Enforcer{}, map[string]map[string]bool{}
	for _, s := range built.REST.Services() {
		enforcers[s.Name], used[s.Name] = s.Policy, map[string]bool{}
		for _, r := range s.Rules {
			used[s.Name][r.Name] = true
		}
	}
	return enforcers, used
}

// upstreamDefaults reads the published rules: new defaults enforced, as shipped.
func upstreamDefaults(t *testing.T) map[string]*policy.Enforcer {
	rules := map[string][]policy.Rule{}
	for _, cell := range readTable(t, upstreamFile, 5) {
		r := policy.Rule{Name: cell[1], Check: cell[2], Deprecated: cell[3]}
		if cell[4] != "" {
			r.Scopes = strings.Split(cell[4], ",")
		}
		rules[cell[0]] = append(rules[cell[0]], r)
	}
	out := map[string]*policy.Enforcer{}
	for service, list := range rules {
		e, err := policy.New(list)
		if err != nil {
			t.Fatalf("%s: %v", service, err)
		}
		out[service] = e
	}
	return out
}

// compareRules gives "service rule" → kind and both checks, of what differs.
// Rules of package policy that a service does not use are no rules of it.
func compareRules(t *testing.T, service string, ours, theirs *policy.Enforcer, used map[string]bool) map[string]string {
	found := map[string]string{}
	have, want := map[string]policy.Rule{}, map[string]policy.Rule{}
	for _, r := range ours.Rules() {
		have[r.Name] = r
	}
	for _, r := range theirs.Rules() {
		want[r.Name] = r
	}
	shown := func(r policy.Rule) string { return fmt.Sprintf("%s [%s]", r.Check, strings.Join(r.Scopes, ",")) }
	for name, r := range have {
		up, both := want[name]
		if !both {
			if used[name] {
				found[service+"\t"+name] = "only here\t" + shown(r)
			}
			continue
		}
		same, err := ours.Same(name, theirs)
		if err != nil {
			t.Errorf("%s: %v", service, err)
		}
		if !same {
			found[service+"\t"+name] = "differs\t" + shown(r) + " instead of " + shown(up)
		}
	}
	for name, r := range want {
		if _, both := have[name]; !both {
			found[service+"\t"+name] = "only upstream\t" + shown(r)
		}
	}
	return found
}

// readTable reads lines of cells with tabs between them; # begins a comment.
func readTable(t *testing.T, file string, cells int) [][]string {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		cell := strings.Split(line, "\t")
		if len(cell) != cells {
			t.Fatalf("%s: %d cells, want %d: %q", file, len(cell), cells, line)
		}
		out = append(out, cell)
	}
	return out
}

// readReasons gives "service rule" → what differs and why.
func readReasons(t *testing.T) map[string][2]string {
	out := map[string][2]string{}
	for _, cell := range readTable(t, differencesFile, 5) {
		out[cell[0]+"\t"+cell[1]] = [2]string{cell[2] + "\t" + cell[3], cell[4]}
	}
	return out
}

func writeReasons(t *testing.T, found map[string]string, reasons map[string][2]string) {
	var b strings.Builder
	b.WriteString("# Where policy rules differ from OpenStack's, and why; the reasons are written by hand.\n# service\trule\twhat\tchecks\treason\n")
	for _, key := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "%s\t%s\t%s\n", key, found[key], reasons[key][1])
	}
	if err := os.WriteFile(differencesFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
