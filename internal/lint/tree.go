package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// File is one parsed Go file.
type File struct {
	Path    string // from the module's root, with slashes
	AST     *ast.File
	fset    *token.FileSet
	lines   int
	Imports map[string]string // local name to import path
}

// Tree is all files by their directory.
type Tree map[string][]*File

// Finding is one violation.
type Finding struct {
	Rule, Path string
	Line       int
	Text       string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.Path, f.Line, f.Rule, f.Text)
}

// Rule looks at one file at a time; the tree answers questions about its package.
type Rule struct {
	Name  string
	Check func(t Tree, f *File, report reporter)
}

type reporter func(at token.Pos, format string, args ...any)

// Module is the import path that the tree's own packages begin with.
const Module = "github.com/mekcloud/mek/"

// Load parses the Go files below a root, without testdata, vendored and hidden folders.
func Load(root string) (Tree, error) {
	t := Tree{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != root && (base == "testdata" || base == "node_modules" || base == "vendor" || strings.HasPrefix(base, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return t.Add(filepath.ToSlash(rel), source)
	})
	return t, err
}

// Add parses one file into the tree.
func (t Tree) Add(name string, source []byte) error {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, source, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	f := &File{Path: name, AST: parsed, fset: fset, lines: strings.Count(string(source), "\n"), Imports: map[string]string{}}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("parse %s: import %s: %w", name, spec.Path.Value, err)
		}
		local := localName(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		f.Imports[local] = imported
	}
	t[path.Dir(name)] = append(t[path.Dir(name)], f)
	return nil
}

// localName is the name an import has in a file that gives it none.
func localName(imported string) string {
	name := path.Base(imported)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = path.Base(path.Dir(imported))
	}
	return strings.TrimPrefix(name, "go-")
}

// Run applies rules to every file and sorts what they find.
func (t Tree) Run(rules []Rule) []Finding {
	var found []Finding
	for _, files := range t {
		for _, f := range files {
			for _, r := range rules {
				r.Check(t, f, func(at token.Pos, format string, args ...any) {
					found = append(found, Finding{r.Name, f.Path, f.fset.Position(at).Line, fmt.Sprintf(format, args...)})
				})
			}
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return found
}

// Dir is the package's directory.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Base is the file's name.
func (f *File) Base() string { return path.Base(f.Path) }

// Test tells whether the file is compiled into tests only: by its name, or
// because its package exists for tests.
func (f *File) Test() bool {
	dir := f.Dir()
	return strings.HasSuffix(f.Path, "_test.go") || dir == "internal/testcloud" || strings.HasPrefix(dir, "internal/testcloud/") ||
		strings.HasPrefix(dir, "test/") || strings.HasSuffix(dir, "test")
}

// selector gives the import path and name of a qualified identifier such as time.Now.
func (f *File) selector(e ast.Expr) (imported, name string) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok || x.Obj != nil { // a variable of that name
		return "", ""
	}
	return f.Imports[x.Name], s.Sel.Name
}

// text is the value of a string literal.
func text(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// under tells whether a directory is one of these or below one of them.
func under(dir string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") })
}
