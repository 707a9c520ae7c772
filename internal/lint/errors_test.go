package lint

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// waivers holds what was there before the rule: "path count" a line.
// The list may only shrink: a line that is not needed any more must go.
const waivers = "testdata/waivers"

// TestNoErrorIsIgnored: what a program has noticed and passed over is how
// systems are lost.
func TestNoErrorIsIgnored(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	found, err := Ignored(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]Finding{}
	for _, f := range found {
		if !(&File{Path: f.Path}).Test() {
			got[f.Path] = append(got[f.Path], f)
		}
	}
	allowed := readWaivers(t)
	for path, list := range got {
		if len(list) > allowed[path] {
			for _, f := range list {
				t.Errorf("%s (%d in this file, %d waived)", f, len(list), allowed[path])
			}
		}
	}
	for path, n := range allowed {
		if len(got[path]) < n {
			t.Errorf("%s: %d ignored errors are left, %d are waived: shrink %s", path, len(got[path]), n, waivers)
		}
	}
}

// TestIgnoredErrorsAreFound on a module of its own.
func TestIgnoredErrorsAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module x\n\ngo 1.24\n", "x.go": `package x

import (
	"fmt"
	"os"
	"strings"
)

func f() {
	os.Remove("a")
	defer os.Remove("b")
	go os.Chdir("c")
	fmt.Println("fine")
	var b strings.Builder
	b.WriteString("fine")
	_ = os.Remove("said")
	func() error { return nil }()
	g()
}

func g() int { return 1 }
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Ignored(t.Context(), dir)
	var lines []int
	for _, f := range found {
		lines = append(lines, f.Line)
	}
	if want := []int{10, 11, 12, 17}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("lines %v, want %v: %v", lines, want, err)
	}
}

func readWaivers(t *testing.T) map[string]int {
	t.Helper()
	f, err := os.Open(waivers)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var path string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &path, &n); err == nil {
			out[path] = n
		}
	}
	return out
}
