package assignments

import "github.com/mekcloud/mek/internal/identity"

// Listed is an assignment as a list shows it, with where it came from.
type Listed struct {
	identity.Assignment
	ViaGroup   string // the group whose member the user is
	ViaProject string // the project it was inherited from
	ViaDomain  string // the domain it was inherited from
	ViaRole    string // the role that implies this one
}

// expand makes an effective list of plain assignments: pure.
func (w *world) expand(list []identity.Assignment) []Listed {
	var out []Listed
	seen := map[Listed]bool{}
	for _, a := range list {
		for _, l := range w.actors(a) {
			for _, l := range w.targets(l) {
				for _, l := range w.roles(l) {
					if !seen[l] {
						seen[l] = true
						out = append(out, l)
					}
				}
			}
		}
	}
	return out
}

func (w *world) actors(a identity.Assignment) []Listed {
	if a.GroupID == "" {
		return []Listed{{Assignment: a}}
	}
	var out []Listed
	for _, user := range w.members[a.GroupID] {
		l := Listed{Assignment: a, ViaGroup: a.GroupID}
		l.UserID, l.GroupID = user, ""
		out = append(out, l)
	}
	return out
}

func (w *world) targets(l Listed) []Listed {
	if !l.Inherited {
		return []Listed{l}
	}
	var out []Listed
	for _, project := range w.below(l.ProjectID + l.DomainID) {
		n := l
		n.ViaProject, n.ViaDomain = l.ProjectID, l.DomainID
		n.ProjectID, n.DomainID, n.Inherited = project, "", false
		out = append(out, n)
	}
	return out
}

// below lists everything under a project or domain. The tree has no cycles.
func (w *world) below(id string) []string {
	var out []string
	for _, child := range w.children[id] {
		out = append(out, child)
		out = append(out, w.below(child)...)
	}
	return out
}

func (w *world) roles(l Listed) []Listed {
	var out []Listed
	seen := map[string]bool{}
	var walk func(role, prior string)
	walk = func(role, prior string) {
		if seen[role] {
			return
		}
		seen[role] = true
		if !w.local[role] {
			n := l
			n.RoleID, n.ViaRole = role, prior
			out = append(out, n)
		}
		for _, implied := range w.implied[role] {
			walk(implied, role)
		}
	}
	walk(l.RoleID, "")
	return out
}
