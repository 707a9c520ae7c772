// Package scheduler decides where servers go: a pure function of what was
// asked for, the hosts and the candidates that Placement found to have room.
//
// Rejected: weighers with factors an operator tunes. The order is written
// down: zones and hints exclude, then the host with most free memory comes
// first, so servers spread.
package scheduler

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/placement"
)

// Host is a machine as the decision sees it. ID is its resource provider's.
type Host struct {
	ID, Name, Zone string
	Usable         bool // up and not disabled
	Silent         bool // it does not answer at the moment: others come first
	Up             bool // it answers, and nobody said that it is down
	Fenced         bool // somebody vouches that nothing runs there
	LiveMigration  bool // its driver can take over running guests
}

// Want is what was asked for beyond resources.
type Want struct {
	Zone      string   // empty: any
	Host      string   // forced host name; empty: any
	Same      []string // host names, one of which it must be; nil: any
	Different []string // host names that it must not be
	// Last says how far behind the others a host comes, by its name, or before
	// them when it is negative: the soft rules of groups.
	Last map[string]int
}

// Ranked is a host with the allocation that takes a server there.
type Ranked struct {
	Host
	Allocations placement.Allocations
}

// Order lists the hosts that may take the server, the best first.
func Order(w Want, hosts []Host, found placement.Candidates) []Ranked {
	byID := map[string]Host{}
	for _, h := range hosts {
		byID[h.ID] = h
	}
	var out []Ranked
	for _, c := range found.List {
		h, ok := byID[c.Root]
		if ok && h.Usable && w.Allows(h) {
			out = append(out, Ranked{h, c.Allocations})
		}
	}
	free := func(r Ranked) int64 {
		l := found.Providers[r.ID].Resources[placement.MemoryMB]
		return l.Capacity - l.Used
	}
	slices.SortStableFunc(out, func(a, b Ranked) int {
		return cmp.Or(later(a.Silent, b.Silent), cmp.Compare(w.Last[a.Name], w.Last[b.Name]), cmp.Compare(free(b), free(a)), cmp.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(out, func(a, b Ranked) bool { return a.ID == b.ID })
}

// Allows tells whether the server may go to a host, room aside.
func (w Want) Allows(h Host) bool {
	return (w.Zone == "" || w.Zone == h.Zone) && (w.Host == "" || w.Host == h.Name) &&
		(w.Same == nil || slices.Contains(w.Same, h.Name)) && !slices.Contains(w.Different, h.Name)
}

// Both is what two wishes for the same host leave; nil asks nothing.
func Both(a, b []string) []string {
	if a == nil {
		return b
	}
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}

// Prefer orders hosts by the soft rules alone; what they do not tell apart
// stays as it is.
func (w Want) Prefer(ranked []Ranked) {
	slices.SortStableFunc(ranked, func(a, b Ranked) int {
		return cmp.Or(later(a.Silent, b.Silent), cmp.Compare(w.Last[a.Name], w.Last[b.Name]))
	})
}

// later puts those that something is true of behind the others.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Request is what Placement is asked for a flavor: its size, and what its extra
// specs say of resources and traits. rootGiB is what the server's disks take on
// the host; 0 for a server whose root is a volume.
func Request(f compute.Flavor, rootGiB int, limit int) placement.Request {
	g := placement.Group{Resources: placement.Resources{placement.VCPU: int64(f.VCPUs), placement.MemoryMB: int64(f.MemoryMiB)}}
	disk := int64(rootGiB + f.EphemGiB + (f.SwapMiB+1023)/1024)
	if disk > 0 {
		g.Resources[placement.DiskGB] = disk
	}
	for key, value := range f.ExtraSpecs {
		kind, name, ok := strings.Cut(key, ":")
		switch {
		case !ok:
		case kind == "trait" && value == "required":
			g.Required = append(g.Required, []string{name})
		case kind == "trait" && value == "forbidden":
			g.Forbidden = append(g.Forbidden, name)
		case kind == "resources":
			if n, ok := amount(value); ok {
				g.Resources[name] = n
			}
		}
	}
	for class, n := range g.Resources { // resources:VCPU=0 takes a class out
		if n == 0 {
			delete(g.Resources, class)
		}
	}
	slices.SortFunc(g.Required, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	slices.Sort(g.Forbidden)
	return placement.Request{Groups: []placement.Group{g}, Limit: limit}
}

func amount(text string) (n int64, ok bool) {
	for _, d := range text {
		if d < '0' || d > '9' || n > placement.MaxInt {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, text != ""
}
