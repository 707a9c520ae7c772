package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// statement recognises SQL in a text. It is written in capitals here, which
// keeps English sentences out.
var statement = regexp.MustCompile(`\b(SELECT\s(?s:.)+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(UNIQUE\s+)?(TABLE|INDEX))\b`)

// SQLPlace checks that SQL stands in stores.
var SQLPlace = Rule{"sql-place", func(_ Tree, f *File, report reporter) {
	if f.Test() || under(f.Dir(), "internal/db", "internal/lint") || layer(f, "store") || !under(f.Dir(), "internal") {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if s, ok := text(e); ok && statement.MatchString(s) {
				report(e.Pos(), "SQL belongs into store*.go")
			}
		}
		return true
	})
}}

// SQLBuilt refuses SQL put together from anything but constants: values are
// bound, and package db builds what must be built.
var SQLBuilt = Rule{"sql-built", func(t Tree, f *File, report reporter) {
	if f.Test() || under(f.Dir(), "internal/db", "internal/lint") {
		return
	}
	constants := constantsOf(t, f)
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.BinaryExpr:
			if v.Op != token.ADD {
				return true
			}
			if hasStatement(v) && !isConstant(v, constants) {
				report(v.Pos(), "SQL is put together from variables: bind them")
			}
			return false
		case *ast.CallExpr:
			if imported, name := f.selector(v.Fun); imported == "fmt" && strings.HasPrefix(name, "S") && len(v.Args) > 0 && hasStatement(v.Args[0]) {
				report(v.Pos(), "SQL is formatted: bind values")
			}
		}
		return true
	})
}}

// hasStatement joins the literals of a concatenation and looks for SQL in them.
func hasStatement(e ast.Expr) bool {
	var b strings.Builder
	ast.Inspect(e, func(n ast.Node) bool {
		if x, ok := n.(ast.Expr); ok {
			if s, ok := text(x); ok {
				b.WriteString(s + " ")
			}
		}
		return true
	})
	return statement.MatchString(b.String())
}

func isConstant(e ast.Expr, constants map[string]bool) bool {
	switch v := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return constants[v.Name]
	case *ast.BinaryExpr:
		return isConstant(v.X, constants) && isConstant(v.Y, constants)
	case *ast.ParenExpr:
		return isConstant(v.X, constants)
	}
	return false
}

// constantsOf names the constants of a file's package, local ones included.
func constantsOf(t Tree, f *File) map[string]bool {
	out := map[string]bool{}
	for _, o := range t[f.Dir()] {
		ast.Inspect(o.AST, func(n ast.Node) bool {
			if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					for _, name := range s.(*ast.ValueSpec).Names {
						out[name.Name] = true
					}
				}
			}
			return true
		})
	}
	return out
}
