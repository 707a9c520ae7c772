package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// The limits, in lines. Aims are half of them; a reviewer sees to those.
const (
	maxFile     = 600
	maxFunction = 70
)

// FileSize checks the length of files; generated ones are exempt.
var FileSize = Rule{"file-size", func(_ Tree, f *File, report reporter) {
	if f.lines > maxFile && !ast.IsGenerated(f.AST) {
		report(f.AST.Package, "%d lines, at most %d", f.lines, maxFile)
	}
}}

// FunctionSize checks the length of functions. Tests and tables are exempt: a
// function whose body is one return of one literal is a table.
var FunctionSize = Rule{"function-size", func(_ Tree, f *File, report reporter) {
	if f.Test() {
		return
	}
	for _, d := range f.AST.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || isTable(fn) {
			continue
		}
		lines := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
		if lines > maxFunction {
			report(fn.Pos(), "%s has %d lines, at most %d", fn.Name.Name, lines, maxFunction)
		}
	}
}}

// isTable tells whether all a function does is to return a literal, after
// naming constants at most.
func isTable(fn *ast.FuncDecl) bool {
	for i, s := range fn.Body.List {
		if decl, ok := s.(*ast.DeclStmt); ok {
			if g, ok := decl.Decl.(*ast.GenDecl); ok && g.Tok == token.CONST {
				continue
			}
		}
		ret, ok := s.(*ast.ReturnStmt)
		if !ok || i != len(fn.Body.List)-1 || len(ret.Results) != 1 {
			return false
		}
		value := ret.Results[0]
		if u, ok := value.(*ast.UnaryExpr); ok {
			value = u.X
		}
		_, ok = value.(*ast.CompositeLit)
		return ok
	}
	return false
}

// PackageComment checks that every package says what it is for.
var PackageComment = Rule{"package-comment", func(t Tree, f *File, report reporter) {
	if strings.HasSuffix(f.Path, "_test.go") {
		return
	}
	files := slices.DeleteFunc(slices.Clone(t[f.Dir()]), func(o *File) bool { return strings.HasSuffix(o.Path, "_test.go") })
	if f != files[0] { // once per package
		return
	}
	if !slices.ContainsFunc(files, func(o *File) bool { return o.AST.Doc != nil }) {
		report(f.AST.Package, "package %s has no comment that says what it is for", f.AST.Name.Name)
	}
}}

// Names refuses packages that are named after nothing.
var Names = Rule{"names", func(_ Tree, f *File, report reporter) {
	for _, bad := range []string{"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"} {
		if name := f.AST.Name.Name; name == bad || name == bad+"_test" {
			report(f.AST.Package, "a package named %s says nothing", name)
		}
		if bad != "base" && (f.Base() == bad+".go" || f.Base() == bad+"_test.go") {
			report(f.AST.Package, "a file named %s says nothing", f.Base())
		}
	}
}}

// Comments refuses notes to oneself, and paths of one person's machine.
var Comments = Rule{"comments", func(_ Tree, f *File, report reporter) {
	for _, group := range f.AST.Comments {
		for _, c := range group.List {
			for _, word := range []string{"TODO", "FIXME", "XXX:", "HACK"} {
				if strings.Contains(c.Text, word) && f.Dir() != "internal/lint" {
					report(c.Pos(), "%s: do it or write an issue", word)
				}
			}
		}
	}
}}
