package security

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	row    = regexp.MustCompile(`(?m)^\| (SEC-\d\d) \| ([^|]+) \| ([^|]+) \|$`)
	listed = regexp.MustCompile("^`([^`]+)`((?: (?:Test|Fuzz)\\w+)+)$")
)

// TestTable: docs/security.md has a row for each published attack, and every
// test that it names exists.
func TestTable(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) != 38 {
		t.Errorf("%d rows", len(rows))
	}
	sources := map[string]string{}
	for i, r := range rows {
		if want := fmt.Sprintf("SEC-%02d", i+1); r[1] != want {
			t.Errorf("row %d is %s", i+1, r[1])
		}
		for _, part := range strings.Split(r[3], "; ") {
			if strings.HasPrefix(part, "waits for ") {
				continue
			}
			m := listed.FindStringSubmatch(part)
			if m == nil {
				t.Errorf("%s: %q names no tests", r[1], part)
				continue
			}
			if _, read := sources[m[1]]; !read {
				sources[m[1]] = testsOf(t, filepath.Join(root, filepath.FromSlash(m[1])))
			}
			for _, name := range strings.Fields(m[2]) {
				if !strings.Contains(sources[m[1]], "\nfunc "+name+"(") {
					t.Errorf("%s: %s has no %s", r[1], m[1], name)
				}
			}
		}
	}
}

// testsOf is the text of a package's tests.
func testsOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
