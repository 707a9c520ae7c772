package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/test/report"
)

// programmes are the parts of the fault programme.
var programmes = []struct{ id, what string }{
	{"F1", "a saga's every step dies or fails in every way"}, {"F2", "reconcilers see late, missing, repeated and reordered events"},
	{"F3", "simulation: network, disk and process faults by seed"}, {"F4", "partitions between server and hosts"},
	{"F5", "processes killed at random under load"}, {"F6", "what never answers"}, {"F7", "disk, inodes, descriptors, memory exhausted"},
	{"F8", "clocks that jump and drift"}, {"F9", "upgrade and rollback"}, {"F10", "power loss"}, {"F11", "the database lost and restored"},
	{"F12", "a long mixed load with faults"}, {"F13", "random verbs of many clients against a model"}, {"F14", "the published table of faults"},
	{"S", "attacks: fuzzed requests, floods, hostile input"},
}

// published are OpenStack's own figures for the like: performance-docs, reports
// on the reliability of three controllers with 24 cores each.
var published = []struct{ fault, errors, recovery string }{
	{"management network of one controller cut", "358 s", "not healed after 10 min"},
	{"controller rebooted", "8.7 s", "287 s to normal speed"},
	{"database node killed", "14.7 s", "not published"},
}

type total struct {
	tests        map[string]bool
	runs, failed int
	seeds, ops   int
	violations   int
	faults       map[string]int
	unavailable  int64
	duration     int64
}

func (t *total) add(f report.Figures) {
	if t.tests == nil {
		t.tests, t.faults = map[string]bool{}, map[string]int{}
	}
	t.tests[f.Test] = true
	t.runs++
	t.seeds += max(1, f.Seeds)
	t.ops += f.Operations
	t.violations += f.Violations
	if f.Failed {
		t.failed++
	}
	for kind, n := range f.Faults {
		t.faults[kind] += n
	}
	t.unavailable = max(t.unavailable, f.Unavailable)
	t.duration += f.Duration
}

func page(all []report.Figures, machine string) []byte {
	var b bytes.Buffer
	commits, byProgramme, byTest := map[string]bool{}, map[string]*total{}, map[string]*total{}
	for _, f := range all {
		commits[f.Commit] = true
		for key, m := range map[string]map[string]*total{f.Programme: byProgramme, f.Programme + " " + f.Test: byTest} {
			if m[key] == nil {
				m[key] = &total{}
			}
			m[key].add(f)
		}
	}
	fmt.Fprintf(&b, "# Reliability\n\nWritten by `make soak` from the figures of its tests; do not edit.\n\nMachine: %s. Commit: %s.\n", machine,
		strings.Join(slices.Sorted(maps.Keys(commits)), ", "))
	b.WriteString("\n`make soak SOAK=30m` repeats all of it, `RUN=NAME` one test, `MEK_TEST_SEED` one seed.\n")
	programmeTable(&b, byProgramme)
	faultTable(&b, byProgramme)
	outageTable(&b, all)
	testTable(&b, byTest)
	measurementTable(&b, all)
	return b.Bytes()
}

func programmeTable(b *bytes.Buffer, by map[string]*total) {
	b.WriteString("\n## The programme\n\n| | Fault | Tests | Seeds | Faults | Operations | Violations | Longest unavailability | Time |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, p := range programmes {
		t := by[p.id]
		if t == nil {
			fmt.Fprintf(b, "| %s | %s | not run | | | | | | |\n", p.id, p.what)
			continue
		}
		violations := fmt.Sprint(t.violations)
		if t.failed > 0 {
			violations += fmt.Sprintf(" (%d of %d runs failed)", t.failed, t.runs)
		}
		fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %d | %s | %s | %s |\n", p.id, p.what, len(t.tests), t.seeds, sum(t.faults), t.ops, violations,
			stretch(t.unavailable), long(t.duration))
	}
}

func faultTable(b *bytes.Buffer, by map[string]*total) {
	b.WriteString("\n## Faults by kind\n\n| | Kind | Injected |\n|---|---|--:|\n")
	for _, p := range programmes {
		if t := by[p.id]; t != nil {
			for _, kind := range slices.Sorted(maps.Keys(t.faults)) {
				fmt.Fprintf(b, "| %s | %s | %d |\n", p.id, kind, t.faults[kind])
			}
		}
	}
}

func outageTable(b *bytes.Buffer, all []report.Figures) {
	b.WriteString("\n## The published table (F14)\n\nOpenStack, three controllers with 24 cores each, as its performance documents published it:\n\n" +
		"| Fault | Errors | Recovery |\n|---|--:|--:|\n")
	for _, p := range published {
		fmt.Fprintf(b, "| %s | %s | %s |\n", p.fault, p.errors, p.recovery)
	}
	b.WriteString("\nThe same here:\n\n| Fault | Errors | To normal speed | Requests failed | after one retry | Median before | meanwhile | Operator's commands |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|\n")
	worst := map[string]report.Outage{}
	for _, f := range all {
		if o := f.Outage; o != nil {
			if w, ok := worst[o.Case]; !ok || o.Recovered > w.Recovered {
				worst[o.Case] = *o
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		o := worst[name]
		fmt.Fprintf(b, "| %s | %.1f s | %.1f s | %d | %d | %.1f ms | %.1f ms | %d |\n", name, float64(o.Errors)/1000, float64(o.Recovered)/1000,
			o.Failed, o.Retried, o.Before, o.Under, o.Verbs)
	}
	if len(worst) == 0 {
		b.WriteString("| not run | | | | | | | |\n")
	}
}

func testTable(b *bytes.Buffer, by map[string]*total) {
	b.WriteString("\n## The tests\n\n| | Test | Runs | Seeds | Operations | Violations | Longest unavailability | Time |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	keys := slices.SortedFunc(maps.Keys(by), func(a, c string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(c)), cmp.Compare(a, c))
	})
	for _, key := range keys {
		programme, test, _ := strings.Cut(key, " ")
		t := by[key]
		if t.failed > 0 {
			test += " **failed**"
		}
		fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %d | %s | %s |\n", programme, test, t.runs, t.seeds, t.ops, t.violations, stretch(t.unavailable), long(t.duration))
	}
}

func measurementTable(b *bytes.Buffer, all []report.Figures) {
	var rows []string
	for _, f := range all {
		for name, value := range f.Measurements {
			rows = append(rows, fmt.Sprintf("| %s | %s | %v |\n", f.Test, name, value))
		}
	}
	if len(rows) == 0 {
		return
	}
	slices.Sort(rows)
	b.WriteString("\n## Measured besides\n\n| Test | Figure | Value |\n|---|---|--:|\n" + strings.Join(rows, ""))
}

// rank is the place of a key's programme in the list of programmes.
func rank(key string) int {
	id, _, _ := strings.Cut(key, " ")
	for i, p := range programmes {
		if p.id == id {
			return i
		}
	}
	return len(programmes)
}

func sum(m map[string]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}

func stretch(ms int64) string {
	if ms == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}

func long(ms int64) string {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second / 10).String()
}
