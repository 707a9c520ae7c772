package lint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// listed is what "go list -export" says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// Ignored finds calls whose error nobody looks at, with the types that the
// compiler knows: as statements, in defer and in go. It reads the compiler's
// export data, so that what was built is not checked again.
func Ignored(ctx context.Context, root string) ([]Finding, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "./...")
	cmd.Dir = root
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, &failure)
	}
	exports, own := map[string]string{}, []listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			own = append(own, p)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var found []Finding
	for _, p := range own {
		list, err := ignoredIn(fset, imports, root, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.ImportPath, err)
		}
		found = append(found, list...)
	}
	return found, nil
}

func ignoredIn(fset *token.FileSet, imports types.Importer, root string, p listed) ([]Finding, error) {
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	if _, err := (&types.Config{Importer: imports}).Check(p.ImportPath, fset, files, info); err != nil {
		return nil, err
	}
	var found []Finding
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			var call *ast.CallExpr
			switch s := n.(type) {
			case *ast.ExprStmt:
				call, _ = s.X.(*ast.CallExpr)
			case *ast.DeferStmt:
				call = s.Call
			case *ast.GoStmt:
				call = s.Call
			}
			if call == nil || !fails(info.TypeOf(call)) {
				return true
			}
			name := calledName(info, call)
			if harmless(name) {
				return true
			}
			at := fset.Position(call.Pos())
			rel, err := filepath.Rel(root, at.Filename)
			if err != nil {
				rel = at.Filename
			}
			found = append(found, Finding{"ignored-error", filepath.ToSlash(rel), at.Line, "nobody looks at the error of " + name})
			return true
		})
	}
	return found, nil
}

// fails tells whether the last result is an error.
func fails(t types.Type) bool {
	if tuple, ok := t.(*types.Tuple); ok {
		if tuple.Len() == 0 {
			return false
		}
		t = tuple.At(tuple.Len() - 1).Type()
	}
	named, ok := t.(*types.Named)
	return ok && named.Obj().Pkg() == nil && named.Obj().Name() == "error"
}

// calledName is what is called, with its package or receiver.
func calledName(info *types.Info, call *ast.CallExpr) string {
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.SelectorExpr:
		if s := info.Selections[f]; s != nil {
			return types.TypeString(s.Recv(), (*types.Package).Path) + "." + f.Sel.Name
		}
		if o := info.Uses[f.Sel]; o != nil && o.Pkg() != nil {
			return o.Pkg().Path() + "." + f.Sel.Name
		}
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return "a function"
}

// never fail, whatever their type says: they write to memory, or to a terminal
// that nobody can do anything about.
var never = []string{"fmt.Print", "fmt.Println", "fmt.Printf", "fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln", "*strings.Builder.", "strings.Builder.",
	"*bytes.Buffer.", "bytes.Buffer.", "hash.Hash.", "hash.Hash32.", "*text/tabwriter.Writer.", "*math/rand.Rand.", "math/rand."}

// harmless tells whether an error may be passed over: what cannot fail, and
// closing what was only read or is given up already. What was written is
// synced or committed before it is closed.
func harmless(name string) bool {
	base := name[strings.LastIndex(name, ".")+1:]
	return slices.ContainsFunc(never, func(n string) bool { return name == n || strings.HasSuffix(n, ".") && strings.HasPrefix(name, n) }) ||
		slices.Contains([]string{"Close", "CloseNow", "Rollback"}, base)
}
