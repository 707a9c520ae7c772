package lint

import (
	"go/ast"
	"slices"
	"strings"
)

// forbidden names what only one package may use, and who may.
var forbidden = []struct {
	imported, name string // empty name: the whole package
	dirs           []string
	say            string
}{
	{"time", "Now", []string{"internal/clock"}, "take a clock.Clock"},
	{"time", "Since", []string{"internal/clock"}, "take a clock.Clock"},
	{"time", "Until", []string{"internal/clock"}, "take a clock.Clock"},
	{"time", "Sleep", []string{"internal/clock"}, "wait for what you wait for"},
	{"time", "Tick", nil, "take a clock.Clock"},
	{"math/rand", "", []string{"internal/id"}, "use package id"},
	{"math/rand/v2", "", []string{"internal/id"}, "use package id"},
	{"crypto/rand", "", []string{"internal/id"}, "use package id"},
	{"github.com/google/uuid", "", []string{"internal/id"}, "use package id"},
	{"log", "", nil, "use log/slog"},
	{"fmt", "Print", []string{"cmd"}, "internal packages do not print"},
	{"fmt", "Printf", []string{"cmd"}, "internal packages do not print"},
	{"fmt", "Println", []string{"cmd"}, "internal packages do not print"},
	{"os/exec", "Command", nil, "use exec.CommandContext: nothing waits for ever"},
	{"net", "Dial", nil, "use a net.Dialer with a context: nothing waits for ever"},
	{"net/http", "Get", nil, "use a client with a time limit"},
	{"net/http", "Post", nil, "use a client with a time limit"},
	{"net/http", "Head", nil, "use a client with a time limit"},
	{"net/http", "PostForm", nil, "use a client with a time limit"},
	{"net/http", "DefaultClient", nil, "use a client with a time limit"},
	{"gopkg.in/yaml.v3", "", nil, "use go.yaml.in/yaml/v4"},
}

// Forbidden checks calls that belong to one package only.
var Forbidden = Rule{"forbidden", func(_ Tree, f *File, report reporter) {
	if f.Test() {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		imported, name := f.selector(s)
		for _, ban := range forbidden {
			if imported == ban.imported && (ban.name == "" || ban.name == name) && !under(f.Dir(), ban.dirs...) {
				report(s.Pos(), "%s.%s: %s", imported, name, ban.say)
			}
		}
		return true
	})
}}

// streaming are clients of bodies without end, which their contexts bound.
var streaming = []string{"internal/apiclient", "internal/egress"}

// Unbounded finds HTTP clients that wait for ever.
var Unbounded = Rule{"unbounded", func(_ Tree, f *File, report reporter) {
	if f.Test() || under(f.Dir(), streaming...) {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if imported, name := f.selector(lit.Type); imported != "net/http" || name != "Client" {
			return true
		}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Timeout" {
					return true
				}
			}
		}
		report(lit.Pos(), "an http.Client without Timeout waits for ever")
		return true
	})
}}

// Shell refuses handing text to a shell.
var Shell = Rule{"shell", func(_ Tree, f *File, report reporter) {
	if f.Test() {
		return
	}
	shells := []string{"sh", "bash", "/bin/sh", "/bin/bash", "dash", "busybox"}
	check := func(list []ast.Expr) {
		for i := 1; i < len(list); i++ {
			name, ok := text(list[i-1])
			flag, ok2 := text(list[i])
			if ok && ok2 && slices.Contains(shells, name) && strings.HasPrefix(flag, "-") && strings.Contains(flag, "c") {
				report(list[i-1].Pos(), "no shell: run %q's work by an argument vector", name)
			}
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.CallExpr:
			check(v.Args)
		case *ast.CompositeLit:
			check(v.Elts)
		}
		return true
	})
}}

// QemuImg checks that qemu-img is always told the format, since a guest may
// write any header it likes into its disk.
var QemuImg = Rule{"qemu-img", func(_ Tree, f *File, report reporter) {
	for _, d := range f.AST.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || f.Test() {
			continue
		}
		var at ast.Node
		explicit := false
		ast.Inspect(fn, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			switch s, _ := text(e); {
			case s == "qemu-img" || strings.HasSuffix(s, "/qemu-img"):
				if at == nil && usedToRun(fn, n) {
					at = n
				}
			case s == "-f" || s == "--image-opts" || strings.HasPrefix(s, "driver="):
				explicit = true
			}
			return true
		})
		if at != nil && !explicit {
			report(at.Pos(), "qemu-img without -f or --image-opts: formats are never guessed")
		}
	}
}}

// usedToRun tells whether a literal is followed by other arguments where it
// stands, which it is not when it only names a program to look for.
func usedToRun(fn *ast.FuncDecl, literal ast.Node) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		var list []ast.Expr
		switch v := n.(type) {
		case *ast.CallExpr:
			list = v.Args
		case *ast.CompositeLit:
			list = v.Elts
		}
		for i, e := range list {
			found = found || e == literal && i < len(list)-1
		}
		return true
	})
	return found
}

// goers may start goroutines: each has an owner there that waits for it.
var goers = []string{"internal/task", "internal/reconcile", "internal/hostlink", "internal/app", "internal/engine", "internal/supervisor",
	"internal/testcloud", "internal/compute/guest", "internal/network/hostnet", "internal/network/ovn", "internal/network/engines",
	"internal/blockstorage/disk", "internal/image/worker", "internal/image/files", "internal/objectstore/store", "internal/objectstore/storetest", "internal/agent", "internal/clock", "internal/beside", "internal/http1", "internal/db",
	"tools/limits"} // it measures writers side by side

// starters panic on mistakes of the program text, when it starts: the
// declaration of a route or saga is wrong, and no request has come yet.
var starters = map[string]string{"internal/rest": "check", "internal/task": "Register"}

// Goroutines checks where goroutines begin.
var Goroutines = Rule{"goroutines", func(_ Tree, f *File, report reporter) {
	if f.Test() || under(f.Dir(), goers...) {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.GoStmt:
			report(v.Pos(), "no goroutines here: a saga or a reconciler")
		case *ast.CallExpr:
			if s, ok := v.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" && len(v.Args) == 1 {
				if _, ok := v.Args[0].(*ast.FuncLit); ok {
					report(v.Pos(), "no goroutines here: a saga or a reconciler")
				}
			}
		}
		return true
	})
}}

// Panics checks that only must-functions panic.
var Panics = Rule{"panic", func(_ Tree, f *File, report reporter) {
	if f.Test() {
		return
	}
	for _, d := range f.AST.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || strings.HasPrefix(strings.ToLower(fn.Name.Name), "must") || starters[f.Dir()] == fn.Name.Name {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "panic" && id.Obj == nil {
					report(c.Pos(), "%s panics: only functions named must do", fn.Name.Name)
				}
			}
			return true
		})
	}
}}
