// Command compatibility writes docs/compatibility.md from the results that
// "make conformance" left behind. Nothing in that page is typed by hand.
//
//	compatibility -results out/conformance -commit 0123abc -out docs/compatibility.md
//
// The folder holds one folder per list of Tempest tests with its results.tsv,
// clients/results.tsv, and coverage.json of the coverage tool. What was not run this
// time keeps its row, with the commit that it was run at.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	results := flag.String("results", "out/conformance", "folder of results")
	commit := flag.String("commit", "", "what they are of")
	out := flag.String("out", "docs/compatibility.md", "page to write")
	flag.Parse()
	err := write(*results, *commit, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compatibility:", err)
		os.Exit(1)
	}
}

func write(results, commit, out string) error {
	old, err := os.ReadFile(out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	p := parse(string(old))
	if err := p.add(results, commit); err != nil {
		return err
	}
	return os.WriteFile(out, p.render(), 0o644)
}

// row is what became of the tests of a group.
type row struct {
	passed, failed, skipped int
	commit                  string
}

// served is how many operations of an API there are here, and in all.
type served struct{ done, total int }

// page is what docs/compatibility.md says.
type page struct {
	lists, clients map[string]row
	services       map[string]served
}

// The heads of the page's tables, by which it is read again.
const (
	lists    = "| List | passed | failed | skipped | at |"
	clients  = "| Service | passed | failed | skipped | at |"
	services = "| Service | served | of |"
	all      = "all" // the sum of a table
)

// parse reads what an earlier run has written.
func parse(text string) page {
	p := page{map[string]row{}, map[string]row{}, map[string]served{}}
	var into map[string]row
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == lists {
			into = p.lists
		}
		if line == clients {
			into = p.clients
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if into == nil || len(cells) != 5 || cells[0] == all {
			continue
		}
		r := row{commit: cells[4]}
		var err [3]error
		for i, n := range []*int{&r.passed, &r.failed, &r.skipped} {
			*n, err[i] = strconv.Atoi(cells[i+1])
		}
		if errors.Join(err[:]...) == nil { // else a head
			into[cells[0]] = r
		}
	}
	return p
}

// add puts the results of a run in the place of earlier ones.
func (p page) add(dir, commit string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*", "results.tsv"))
	if err != nil {
		return err
	}
	for _, file := range files {
		name, into := filepath.Base(filepath.Dir(file)), p.lists
		group := func([]string) string { return name }
		if name == "clients" {
			into, group = p.clients, func(cells []string) string { return cells[0] }
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		maps.Copy(into, tally(string(content), commit, group))
	}
	content, err := os.ReadFile(filepath.Join(dir, "coverage.json"))
	if err != nil {
		return err
	}
	var report map[string]struct{ Total, Done int }
	if err := json.Unmarshal(content, &report); err != nil {
		return fmt.Errorf("coverage: %w", err)
	}
	for name, s := range report {
		if s.Done > 0 {
			p.services[name] = served{s.Done, s.Total}
		}
	}
	return nil
}

// tally counts the states in the second column of a table by group.
func tally(table, commit string, group func(cells []string) string) map[string]row {
	out := map[string]row{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(cells) < 2 {
			continue
		}
		r := out[group(cells)]
		r.commit = commit
		switch strings.ToLower(cells[1]) {
		case "pass", "passed", "ok", "success":
			r.passed++
		case "skip", "skipped":
			r.skipped++
		default:
			r.failed++
		}
		out[group(cells)] = r
	}
	return out
}

func (p page) render() []byte {
	var b bytes.Buffer
	b.WriteString("# Compatibility\n\nWritten by `make conformance` from its results; do not edit. Each row says which commit it was run at.\n\n## Tempest 33.0.0\n")
	rows(&b, lists, p.lists, false)
	b.WriteString("\n## Real clients, one command a row\n")
	rows(&b, clients, p.clients, true)
	b.WriteString("\n## Operations of the published APIs\n\n" + services + "\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(p.services)) {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", name, p.services[name].done, p.services[name].total)
	}
	return b.Bytes()
}

func rows(b *bytes.Buffer, head string, list map[string]row, summed bool) {
	b.WriteString("\n" + head + "\n|---|---|---|---|---|\n")
	var sum row
	for _, name := range slices.Sorted(maps.Keys(list)) {
		r := list[name]
		sum.passed, sum.failed, sum.skipped = sum.passed+r.passed, sum.failed+r.failed, sum.skipped+r.skipped
		fmt.Fprintf(b, "| %s | %d | %d | %d | %s |\n", name, r.passed, r.failed, r.skipped, r.commit)
	}
	if summed {
		fmt.Fprintf(b, "| %s | %d | %d | %d | |\n", all, sum.passed, sum.failed, sum.skipped)
	}
}
