package lint

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// Packages by what they may import; all below internal/.
var (
	leaves   = []string{"fault", "clock", "id", "event", "automaton", "fence", "later", "listing", "memo", "microversion", "pace", "reread", "rota", "beside", "threads", "socket"}
	services = []string{"identity", "compute", "placement", "network", "image", "blockstorage", "objectstore", "orchestration", "loadbalancer",
		"baremetal", "database", "dataprocessing", "telemetry", "metric", "alarm", "containers", "containerinfra", "dns", "keymanager",
		"sharedfilesystem", "ec2"}
	// storing are the toolkit packages that stand on the database, and may know each other.
	storing = []string{"db", "quota", "task", "reconcile", "outbox", "hoststate", "hostlink", "check", "peers", "answers"}
	toolkit = slices.Concat(leaves, storing, []string{"policy", "rest", "http1"})
	// wiring may import everything.
	wiring = []string{"app", "testcloud"}
	// outside are modules that a package without other dependencies needs to be what it is.
	outside = map[string]string{"id": "github.com/google/uuid"}
)

// Imports checks the directions of imports: style.md, section 4.
var Imports = Rule{"imports", func(t Tree, f *File, report reporter) {
	own, ok := strings.CutPrefix(f.Dir(), "internal/")
	if !ok || f.Test() || under(own, wiring...) {
		return
	}
	for _, spec := range f.AST.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it
		}
		to, ours := strings.CutPrefix(imported, Module+"internal/")
		if why := refused(t, f, own, to, ours, imported); why != "" {
			report(spec.Pos(), "%s: %s", strings.TrimPrefix(imported, Module), why)
		}
	}
}}

// refused says why a package may not import another, or nothing.
func refused(t Tree, f *File, own, to string, ours bool, imported string) string {
	if slices.Contains(leaves, own) && !standard(imported) && outside[own] != imported {
		return "leaves import the standard library only"
	}
	if !ours || under(to, own) {
		return ""
	}
	if under(to, wiring...) || under(to, "lint") {
		return "only commands import wiring"
	}
	service, _, _ := strings.Cut(own, "/")
	switch {
	case own == "policy" && !slices.Contains(leaves, to):
		return "policy imports leaves only"
	case own == "db" && !slices.Contains(leaves, to):
		return "db imports leaves only"
	case under(own, "rest") && !slices.Contains(leaves, to) && to != "policy":
		return "rest imports leaves and policy only"
	case under(own, storing...) && !under(to, leaves...) && !under(to, storing...) && !driverInterface(t, to):
		return "this part of the toolkit imports leaves, db and its own kind only"
	case under(own, "agent") && under(to, "db", "rest", "policy", "hoststate", "task", "quota"):
		return "the agent has no database, no API and no policy"
	case under(own, "dashboard", "orchestration") && slices.ContainsFunc(services, func(s string) bool { return under(to, s) && !under(own, s) }):
		return "goes through apiclient, never a service"
	case slices.Contains(services, service):
		return refusedInService(t, f, service, own, to)
	case isFeature(t, to):
		return "features are imported by their service's assembly only"
	}
	return ""
}

// refusedInService covers contracts, features, drivers and assemblies.
func refusedInService(t Tree, f *File, service, own, to string) string {
	if own == service { // the contract
		if slices.Contains(leaves, to) || to == "policy" || to == "db" {
			return ""
		}
		return "a contract imports leaves, policy, and of db the type Tx"
	}
	assembly := own == service+"/api"
	switch {
	case to == "rest" && !assembly && !layer(f, "api", "fields", "actions"):
		return "inside a feature only api.go, fields.go and actions.go know rest"
	case under(to, "hostlink") && !assembly && !isDriver(own) && !layer(f, "task", "reconcile"):
		return "inside a feature only task_*.go and reconcile.go touch hostlink"
	case isFeature(t, to) && under(to, service) && !assembly:
		return "a feature never imports a sibling feature: declare a small interface"
	case isFeature(t, to) && !under(to, service):
		return "of other services only the contract"
	case isDriver(own) || !under(to, "agent", "engine", "ledger", "supervisor"):
		return ""
	}
	return "services know nothing of processes"
}

// layer tells whether the file's name is one of these, or begins with one and "_".
func layer(f *File, names ...string) bool {
	base := strings.TrimSuffix(f.Base(), ".go")
	return slices.ContainsFunc(names, func(n string) bool { return base == n || strings.HasPrefix(base, n+"_") })
}

// isFeature tells whether a package below internal/ is a feature: it has an API.
func isFeature(t Tree, pkg string) bool {
	service, rest, ok := strings.Cut(pkg, "/")
	return ok && rest != "api" && slices.Contains(services, service) &&
		slices.ContainsFunc(t["internal/"+pkg], func(f *File) bool { return layer(f, "api") })
}

// drivers run processes, wait on sockets and own goroutines. Their paths are below internal/.
var drivers = []string{"compute/guest", "network/hostnet", "network/ovn", "network/engines", "blockstorage/disk", "image/worker"}

func isDriver(pkg string) bool { return under(pkg, drivers...) }

// driverInterface is a package that a driver implements and hosts speak: the
// parent of drivers, or a contract.
func driverInterface(t Tree, pkg string) bool {
	return slices.Contains(services, pkg) || isDriver(pkg) && len(t["internal/"+pkg]) > 0
}

// standard tells whether an import is of the standard library: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// ContractTx checks that contracts use nothing of db but the type Tx.
var ContractTx = Rule{"contract-tx", func(_ Tree, f *File, report reporter) {
	own, ok := strings.CutPrefix(f.Dir(), "internal/")
	if !ok || f.Test() || !slices.Contains(services, own) {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if imported, name := f.selector(s); imported == Module+"internal/db" && name != "Tx" {
				report(s.Pos(), "a contract knows no db.%s, only db.Tx", name)
			}
		}
		return true
	})
}}
