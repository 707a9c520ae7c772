package main

import (
	"os"
	"path/filepath"
	"testing"
)

const want = `# Compatibility

Written by ` + "`make conformance`" + ` from its results; do not edit. Each row says which commit it was run at.

## Tempest 33.0.0

| List | passed | failed | skipped | at |
|---|---|---|---|---|
| compute | 5 | 1 | 2 | old |
| image | 2 | 1 | 1 | new |

## Real clients, one command a row

| Service | passed | failed | skipped | at |
|---|---|---|---|---|
| identity | 1 | 1 | 0 | new |
| image | 7 | 0 | 0 | old |
| all | 8 | 1 | 0 | |

## Operations of the published APIs

| Service | served | of |
|---|---|---|
| glance | 76 | 82 |
`

// TestWhatWasNotRunKeepsItsRow: a run of some lists replaces theirs, twice alike.
func TestWhatWasNotRunKeepsItsRow(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("results/image/results.tsv", "a\tpass\nb\tFAIL\nc\tskip\nd\tpass\n")
	put("results/clients/results.tsv", "identity\tpass\tx\nidentity\tfail\ty\n")
	put("results/coverage.json", `{"glance": {"total": 82, "done": 76}, "heat": {"total": 64, "done": 0}}`)
	put("page.md", "# Compatibility\n\n"+lists+"\n|---|---|---|---|---|\n| compute | 5 | 1 | 2 | old |\n| image | 9 | 9 | 9 | old |\n\n"+
		clients+"\n|---|---|---|---|---|\n| identity | 3 | 0 | 0 | old |\n| image | 7 | 0 | 0 | old |\n| all | 10 | 0 | 0 | |\n\n"+services+"\n|---|---|---|\n| glance | 1 | 82 |\n")
	for range 2 {
		if err := write(filepath.Join(dir, "results"), "new", filepath.Join(dir, "page.md")); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "page.md"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s", got)
		}
	}
}
