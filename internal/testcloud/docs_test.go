package testcloud_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

var update = flag.Bool("update", false, "rewrite the tables of codes in docs")

// TestInvariantsAreDocumented compares the tables of codes with the registry,
// and looks for the tests that the table of invariants names.
func TestInvariantsAreDocumented(t *testing.T) {
	codes := testcloud.New(t).Codes()
	seen, table, of := map[string]bool{}, "", map[string][]string{}
	for _, c := range append(codes, testcloud.HostCodes()...) {
		if seen[c.ID] {
			continue
		}
		seen[c.ID] = true
		table += fmt.Sprintf("| `%s` | %s | %s |\n", c.ID, c.Means, strings.ReplaceAll(c.Remedy, "|", "or"))
		invariant, _, _ := strings.Cut(c.ID, "/")
		of[invariant] = append(of[invariant], "`"+c.ID+"`")
	}
	operations := filepath.Join("..", "..", "docs", "operations.md")
	text := read(t, operations)
	const begin, end = "| Code | Means | What to do |\n|---|---|---|\n", "\n<!-- end -->"
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("operations.md has no table of codes")
	}
	compare(t, operations, text, before+begin+table+end+after)

	invariants := filepath.Join("..", "..", "docs", "invariants.md")
	text = read(t, invariants)
	tests, want := testNames(t), ""
	row := regexp.MustCompile(`^\| (I-\d\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|\n$`)
	rows := 0
	for line := range strings.Lines(text) {
		m := row.FindStringSubmatch(line)
		if m == nil {
			want += line
			continue
		}
		if rows++; m[1] != fmt.Sprintf("I-%02d", rows) {
			t.Errorf("row %d is of %s", rows, m[1])
		}
		list := strings.Join(of[m[1]], ", ")
		if list == "" {
			list = "—"
		}
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m[4], -1) {
			if !tests[name[1]] {
				t.Errorf("%s is held by %s, and there is no such test", m[1], name[1])
			}
		}
		want += fmt.Sprintf("| %s | %s | %s | %s |\n", m[1], m[2], list, m[4])
	}
	if rows != 42 {
		t.Errorf("%d invariants", rows)
	}
	compare(t, invariants, text, want)
}

func compare(t *testing.T, file, have, want string) {
	t.Helper()
	if have == want {
		return
	}
	if !*update {
		t.Errorf("%s is not what the registry of checks says: run with -update", file)
		return
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// testNames finds the names of all tests of the tree.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	out, test := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, root := range []string{"..", filepath.Join("..", "..", "test"), filepath.Join("..", "..", "cmd")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range test.FindAllStringSubmatch(read(t, path), -1) {
				out[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
