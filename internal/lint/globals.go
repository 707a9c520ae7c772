package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// fixed are functions whose results may be package variables: nothing about them changes.
var fixed = []string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "db.NewTable", "template.Must",
	"netip.MustParseAddr", "netip.MustParsePrefix", "microversion.V", "big.NewInt", "reflect.TypeFor", "time.Duration", "slices.Concat",
	"sync.OnceValue", "sync.OnceFunc", "memo.Of", "crc32.MakeTable"}

// Globals refuses init functions and package variables that can change. Error
// values, tables, compiled expressions and embedded files are no state.
var Globals = Rule{"globals", func(t Tree, f *File, report reporter) {
	if f.Test() {
		return
	}
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			report(fn.Pos(), "no init functions: construct in app")
		}
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || embeds(g.Doc) {
			continue
		}
		for _, s := range g.Specs {
			if v, ok := s.(*ast.ValueSpec); ok && !embeds(v.Doc) {
				checkGlobal(f, v, report)
			}
		}
	}
	assigned(t, f, report)
}}

func checkGlobal(f *File, v *ast.ValueSpec, report reporter) {
	for i, name := range v.Names {
		switch {
		case name.Name == "_":
		case len(v.Values) == 0:
			report(name.Pos(), "%s is global state: pass it on", name.Name)
		case len(v.Values) == len(v.Names) && !isFixed(f, v.Values[i]):
			report(name.Pos(), "%s is neither an error, a table nor a compiled expression", name.Name)
		}
	}
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") })
}

// isFixed tells whether an expression makes something that does not change.
func isFixed(f *File, e ast.Expr) bool {
	switch v := e.(type) {
	case *ast.BasicLit, *ast.FuncLit, *ast.SelectorExpr, *ast.Ident:
		return true
	case *ast.BinaryExpr:
		return isFixed(f, v.X) && isFixed(f, v.Y)
	case *ast.UnaryExpr:
		return v.Op != token.AND && isFixed(f, v.X)
	case *ast.CompositeLit:
		imported, _ := f.selector(v.Type)
		return imported != "sync" && imported != "sync/atomic"
	case *ast.CallExpr:
		return fixedCall(f, v)
	}
	return false
}

func fixedCall(f *File, c *ast.CallExpr) bool {
	fun := c.Fun
	switch v := fun.(type) { // a generic call names its types
	case *ast.IndexExpr:
		fun = v.X
	case *ast.IndexListExpr:
		fun = v.X
	case *ast.ArrayType: // []byte("…")
		return true
	}
	if id, ok := fun.(*ast.Ident); ok {
		// Tables that are computed once, and conversions to types of one's own.
		return strings.HasPrefix(id.Name, "must") || strings.HasSuffix(id.Name, "Table") || strings.HasPrefix(id.Name, "table")
	}
	imported, name := f.selector(fun)
	if imported == Module+"internal/fault" {
		return true
	}
	full := localName(imported) + "." + name
	if imported == "" { // a method: fault.NotFoundf(…).With(…)
		s, ok := fun.(*ast.SelectorExpr)
		inner, isCall := ast.Expr(nil), false
		if ok {
			inner = s.X
			_, isCall = inner.(*ast.CallExpr)
		}
		return isCall && isFixed(f, inner)
	}
	return slices.Contains(fixed, full) || strings.HasPrefix(name, "Must")
}

// assigned reports assignments to variables of the package.
func assigned(t Tree, f *File, report reporter) {
	globals := map[string]bool{}
	for _, o := range t[f.Dir()] {
		for _, d := range o.AST.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR && !o.Test() {
				for _, s := range g.Specs {
					for _, name := range s.(*ast.ValueSpec).Names {
						globals[name.Name] = name.Name != "_"
					}
				}
			}
		}
	}
	target := func(e ast.Expr) {
		for {
			if i, ok := e.(*ast.IndexExpr); ok {
				e = i.X
				continue
			}
			break
		}
		id, ok := e.(*ast.Ident)
		if !ok || !globals[id.Name] {
			return
		}
		if id.Obj != nil { // resolved within the file: only if that is the package's variable
			spec, ok := id.Obj.Decl.(*ast.ValueSpec)
			if !ok || !packageLevel(f, spec) {
				return
			}
		}
		report(e.Pos(), "%s is a package variable and must not change", id.Name)
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.AssignStmt:
			if v.Tok != token.DEFINE {
				for _, e := range v.Lhs {
					target(e)
				}
			}
		case *ast.IncDecStmt:
			target(v.X)
		}
		return true
	})
}

func packageLevel(f *File, spec *ast.ValueSpec) bool {
	for _, d := range f.AST.Decls {
		if g, ok := d.(*ast.GenDecl); ok && slices.Contains(g.Specs, ast.Spec(spec)) {
			return true
		}
	}
	return false
}
