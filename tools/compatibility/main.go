// Command compatibility writes docs/compatibility.md from the results that
// "make conformance" left behind. Nothing in that page is typed by hand.
//
//	compatibility -results out/conformance -out docs/compatibility.md
//
// The folder holds one folder per list of Tempest tests with its results.tsv,
// clients/results.tsv, and coverage.json of the coverage tool.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// count is how many tests of a group ended how.
type count struct{ passed, failed, skipped int }

func (c *count) add(state string) {
	switch strings.ToLower(state) {
	case "pass", "passed", "ok", "success":
		c.passed++
	case "skip", "skipped":
		c.skipped++
	default:
		c.failed++
	}
}

func (c count) row(name string) string {
	return fmt.Sprintf("| %s | %d | %d | %d |\n", name, c.passed, c.failed, c.skipped)
}

func main() {
	results := flag.String("results", "out/conformance", "folder of results")
	out := flag.String("out", "docs/compatibility.md", "page to write")
	flag.Parse()
	page, err := render(*results)
	if err == nil {
		err = os.WriteFile(*out, page, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compatibility:", err)
		os.Exit(1)
	}
}

func render(dir string) ([]byte, error) {
	var page bytes.Buffer
	page.WriteString("# Compatibility\n\nWritten by `make conformance` from its results; do not edit.\n\n")
	page.WriteString("## Tempest 33.0.0\n\n| List | passed | failed | skipped |\n|---|---|---|---|\n")
	lists, err := filepath.Glob(filepath.Join(dir, "*", "results.tsv"))
	if err != nil {
		return nil, err
	}
	slices.Sort(lists)
	for _, file := range lists {
		name := filepath.Base(filepath.Dir(file))
		if name == "clients" {
			continue
		}
		total, _, err := tally(file, 1, func([]string) string { return "" })
		if err != nil {
			return nil, err
		}
		page.WriteString(total.row(name))
	}
	if err := clients(&page, filepath.Join(dir, "clients", "results.tsv")); err != nil {
		return nil, err
	}
	if err := coverage(&page, filepath.Join(dir, "coverage.json")); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}

// tally counts the states in a column of a table, in all and by group.
func tally(file string, column int, group func(cells []string) string) (total count, groups map[string]*count, err error) {
	content, err := os.Open(file)
	if err != nil {
		return total, nil, err
	}
	defer content.Close()
	groups = map[string]*count{}
	lines := bufio.NewScanner(content)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		if len(cells) <= column {
			continue
		}
		total.add(cells[column])
		name := group(cells)
		if groups[name] == nil {
			groups[name] = &count{}
		}
		groups[name].add(cells[column])
	}
	return total, groups, lines.Err()
}

func clients(page *bytes.Buffer, file string) error {
	if _, err := os.Stat(file); os.IsNotExist(err) {
		return nil
	}
	total, groups, err := tally(file, 1, func(cells []string) string { return cells[0] })
	if err != nil {
		return err
	}
	page.WriteString("\n## Real clients, one command a row\n\n| Service | passed | failed | skipped |\n|---|---|---|---|\n")
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		page.WriteString(groups[name].row(name))
	}
	page.WriteString(total.row("all"))
	return nil
}

func coverage(page *bytes.Buffer, file string) error {
	raw, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var report map[string]struct {
		Total int `json:"total"`
		Done  int `json:"done"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return fmt.Errorf("coverage: %w", err)
	}
	page.WriteString("\n## Operations of the published APIs\n\n| Service | served | of |\n|---|---|---|\n")
	names := make([]string, 0, len(report))
	for name := range report {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if s := report[name]; s.Done > 0 {
			fmt.Fprintf(page, "| %s | %d | %d |\n", name, s.Done, s.Total)
		}
	}
	return nil
}
