package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rules is all of them, in the order they are reported.
var rules = []Rule{Imports, ContractTx, FileSize, FunctionSize, PackageComment, Names, Comments, Forbidden, Unbounded, Shell, QemuImg, Goroutines, Panics,
	Globals, SQLPlace, SQLBuilt}

func TestTree(t *testing.T) {
	tree, err := Load(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree["internal/lint"]) == 0 || len(tree["internal/policy"]) == 0 {
		t.Fatal("the tree was not found")
	}
	for _, f := range tree.Run(rules) {
		t.Error(f)
	}
}

// A snippet file holds files, each below a line "-- path --". Files named in a
// line "want: path rule" at the top must break that rule, and nothing else may
// break anything; "pad: path n" adds n lines to a file.
func TestSnippets(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no snippets: %v", err)
	}
	tested := map[string]bool{}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := readSnippets(t, string(raw))
			for _, f := range tree.Run(rules) {
				key := f.Path + " " + f.Rule
				if _, ok := want[key]; !ok {
					t.Errorf("not expected: %s", f)
				}
				want[key] = true
				tested[f.Rule] = true
			}
			for key, met := range want {
				if !met {
					t.Errorf("not found: %s", key)
				}
			}
		})
	}
	for _, r := range rules {
		if !tested[r.Name] {
			t.Errorf("no snippet makes rule %s fail", r.Name)
		}
	}
}

func readSnippets(t *testing.T, raw string) (Tree, map[string]bool) {
	t.Helper()
	tree, want := Tree{}, map[string]bool{}
	pads := map[string]int{}
	head, rest, _ := strings.Cut(raw, "\n-- ")
	for line := range strings.Lines(head) {
		if key, ok := strings.CutPrefix(line, "want: "); ok {
			want[strings.TrimSpace(key)] = false
		}
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "pad:" {
			var n int
			for _, c := range fields[2] {
				n = n*10 + int(c-'0')
			}
			pads[fields[1]] = n
		}
	}
	for _, part := range strings.Split(rest, "\n-- ") {
		name, source, _ := strings.Cut(part, " --\n")
		source = strings.Replace(source, "PAD\n", strings.Repeat("\n", pads[name]), 1)
		if err := tree.Add(name, []byte(source)); err != nil {
			t.Fatal(err)
		}
	}
	return tree, want
}
