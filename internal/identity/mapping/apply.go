package mapping

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
)

var (
	errNoRule      = errors.New("no rule of the mapping matches the claims, or those that do say nothing")
	errNoName      = errors.New("neither the rules nor REMOTE_USER name the user")
	errNoDomain    = errors.New("a local user is named without a domain")
	errGroupDomain = errors.New("groups are named without a domain")
	errGroupJSON   = errors.New("a group that is written as JSON is none")
)

// remoteUser is the claim that names who the rules leave without a name.
const remoteUser = "REMOTE_USER"

// Apply says who somebody with these claims is. Claims are lists already, as
// assertions and tokens have them: no value is split at ";" (upstream does),
// for a value may hold what somebody else typed.
// Unauthenticated: no rule matches, or one that does cannot be followed; the
// cause, for logs, says why.
func (r *Rules) Apply(claims map[string][]string) (Result, error) {
	out, err := r.apply(claims)
	if err != nil {
		return Result{}, fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(err)
	}
	return out, nil
}

func (r *Rules) apply(claims map[string][]string) (Result, error) {
	size, count := 0, 0
	for _, values := range claims {
		count += len(values)
		for _, v := range values {
			size += len(v)
		}
	}
	if size > maxClaims || count > maxClaimed {
		return Result{}, errTooMuch
	}
	b := builder{version: r.version}
	for i := range r.rules {
		d, ok := r.rules[i].match(claims, &b.work)
		if b.work > maxWork {
			return Result{}, errTooMuch
		}
		if !ok {
			continue
		}
		for j := range r.rules[i].local {
			if err := b.add(&r.rules[i].local[j], d); err != nil {
				return Result{}, err
			}
		}
	}
	return b.finish(claims[remoteUser])
}

// match gathers the direct values of a rule of which every requirement is met.
// It gives up when work becomes too much.
func (r *rule) match(claims map[string][]string, work *int) (direct, bool) {
	d := direct{}
	for i := range r.remote {
		values := claims[r.remote[i].claim]
		if *work += r.remote[i].work(values); *work > maxWork {
			return nil, false
		}
		values, ok := r.remote[i].met(values)
		if !ok {
			return nil, false
		}
		if r.remote[i].direct() {
			d = append(d, values)
		}
	}
	return d, true
}

// builder gathers what the local parts of rules make.
type builder struct {
	version string
	out     Result
	matched bool
	work    int
	last    Domain // "domain" of the object that came last
}

// add follows one object. The first user counts, all groups do, and the last
// projects, as upstream has it.
func (b *builder) add(l *local, d direct) error {
	b.matched = true
	domain, err := l.domain.expand(d)
	if err != nil {
		return err
	}
	b.last = domain
	if err := b.groups(l, d, domain); err != nil {
		return err
	}
	if l.user != nil && b.out.User.Type == "" {
		if b.out.User, err = l.user.expand(d); err != nil {
			return err
		}
		if b.version != V1 && b.out.User.Domain == (Domain{}) {
			b.out.User.Domain = domain
		}
	}
	if l.hasProjects {
		b.out.Projects, err = b.projects(l, d, domain)
	}
	return err
}

func (d domainRule) expand(values direct) (out Domain, err error) {
	if d.id.given() {
		out.ID, err = d.id.name(values)
		return out, err // a name beside it is not asked
	}
	out.Name, err = d.name.name(values)
	return out, err
}

func (u *userRule) expand(d direct) (out User, err error) {
	out.Type = u.kind
	if out.ID, err = u.id.expand(d); err != nil {
		return out, err
	}
	if out.Name, err = u.name.expand(d); err != nil {
		return out, err
	}
	// People have several addresses, and nothing is decided by one.
	if out.Email, err = u.email.first(d); err != nil {
		return out, err
	}
	out.Domain, err = u.domain.expand(d)
	return out, err
}

// groups takes the groups of one object; domain is its own.
func (b *builder) groups(l *local, d direct, domain Domain) error {
	if l.groupID.given() {
		id, err := l.groupID.name(d)
		if err != nil {
			return err
		}
		b.groupIDs(id)
	}
	if l.group != nil {
		var g Group
		var err error
		if g.Name, err = l.group.name.name(d); err != nil {
			return err
		}
		if g.Domain, err = l.group.domain.expand(d); err != nil {
			return err
		}
		b.group(g)
	}
	names, err := l.groups.values(d)
	if err != nil {
		return err
	}
	for _, name := range names {
		g, err := b.named(name, domain)
		if err != nil {
			return err
		}
		b.group(g)
	}
	ids, err := l.groupIDs.values(d)
	b.groupIDs(ids...)
	if err == nil && len(b.out.GroupIDs)+len(b.out.Groups) > maxValues {
		err = errTooMuch
	}
	return err
}

func (b *builder) groupIDs(ids ...string) {
	for _, id := range ids {
		if !slices.Contains(b.out.GroupIDs, id) {
			b.out.GroupIDs = append(b.out.GroupIDs, id)
		}
	}
}

func (b *builder) group(g Group) {
	if !slices.Contains(b.out.Groups, g) {
		b.out.Groups = append(b.out.Groups, g)
	}
}

// named is the group that a value of "groups" names: JSON:{"name":…,"domain":{…}},
// or a name in the domain beside it.
func (b *builder) named(value string, domain Domain) (Group, error) {
	raw, isJSON := strings.CutPrefix(value, "JSON:")
	if !isJSON || b.version == V1 && domain != (Domain{}) {
		if domain == (Domain{}) {
			return Group{}, errGroupDomain
		}
		return Group{value, domain}, nil
	}
	r := &reader{plain: true}
	m := r.object(json.RawMessage(raw), "group")
	if m["name"] == nil || m["domain"] == nil {
		return Group{}, errGroupJSON
	}
	in := r.object(m["domain"], "group.domain")
	of := domainRule{r.optional(in, "id", "group.domain", 0), r.optional(in, "name", "group.domain", 0)}
	name := r.template(m["name"], "group.name", 0)
	if r.err != nil || !of.given() {
		return Group{}, errors.Join(errGroupJSON, r.err)
	}
	var g Group
	var err error
	if g.Name, err = name.name(nil); err != nil {
		return g, err
	}
	g.Domain, err = of.expand(nil)
	return g, err
}

// projects takes the projects of one object, and those of a claim that it refers to.
func (b *builder) projects(l *local, d direct, domain Domain) ([]Project, error) {
	rules := l.projects
	if ref, ok := l.projectsJSON.only(); ok {
		r := &reader{plain: true}
		for _, value := range d[ref] {
			raw := json.RawMessage(value)
			if strings.HasPrefix(strings.TrimLeft(value, " \t\r\n"), "{") { // of a claim that was a list
				raw = json.RawMessage("[" + value + "]")
			}
			rules = append(rules[:len(rules):len(rules)], r.projects(raw, "projects_json", V2, 0)...)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	if len(rules) > maxItems {
		return nil, errTooMuch
	}
	out := make([]Project, len(rules))
	for i := range rules {
		p, err := rules[i].expand(d)
		if err != nil {
			return nil, err
		}
		if p.Domain == (Domain{}) && b.version != V1 {
			p.Domain = domain
		}
		out[i] = p
	}
	return out, nil
}

func (p *projectRule) expand(d direct) (out Project, err error) {
	if out.Name, err = p.name.name(d); err != nil {
		return out, err
	}
	if out.Domain, err = p.domain.expand(d); err != nil {
		return out, err
	}
	for _, role := range p.roles {
		name, err := role.name(d)
		if err != nil {
			return out, err
		}
		out.Roles = append(out.Roles, Role{name})
	}
	return out, nil
}
