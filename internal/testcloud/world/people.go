package world

import (
	"net/http"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Person is a caller of some kind: one column of the matrix.
type Person struct {
	Letter byte   // in the head of the matrix
	Name   string // "project reader"
	Token  string
	UserID string
	// Access and Secret sign requests to the object store's own port; empty: the
	// kind cannot have such keys.
	Access, Secret string
}

// People are the columns of the matrix, in order.
type People []*Person

// Named finds a person.
func (p People) Named(name string) *Person {
	for _, one := range p {
		if one.Name == name {
			return one
		}
	}
	return nil
}

const password = "a-password-of-the-matrix"

func (w *World) user(name, domain, project string) string {
	body := Object{"name": name, "domain_id": domain, "password": password}
	if project != "" {
		body["default_project_id"] = project
	}
	return w.admin("POST", "/identity/v3/users", Object{"user": body}).Expect(http.StatusCreated).String("user.id")
}

func (w *World) project(name, domain string) string {
	return w.admin("POST", "/identity/v3/projects", Object{"project": Object{"name": name, "domain_id": domain}}).Expect(http.StatusCreated).String("project.id")
}

func (w *World) domain(name string) string {
	return w.admin("POST", "/identity/v3/domains", Object{"domain": Object{"name": name}}).Expect(http.StatusCreated).String("domain.id")
}

func (w *World) grant(where, user, role string) {
	w.admin("PUT", "/identity/v3/"+where+"/users/"+user+"/roles/"+w.Roles[role], nil).Expect(http.StatusNoContent)
}

// login signs a user in; scope is the member "scope" of the request.
func (w *World) login(user string, scope any) string {
	auth := Object{"identity": Object{"methods": []string{"password"}, "password": Object{"user": Object{"id": user, "password": password}}}}
	if scope != nil {
		auth["scope"] = scope
	}
	return w.anonymous("POST", "/identity/v3/auth/tokens", Object{"auth": auth}).Expect(http.StatusCreated).Header.Get("X-Subject-Token")
}

func onProject(id string) Object { return Object{"project": Object{"id": id}} }
func onDomain(id string) Object  { return Object{"domain": Object{"id": id}} }
func onSystem() Object           { return Object{"system": Object{"all": true}} }

// scoped makes a user with one role somewhere, and a token there.
func (w *World) scoped(letter byte, name, where, role string, scope Object) *Person {
	u := w.user(name, w.Domain, "")
	w.grant(where, u, role)
	p := &Person{Letter: letter, Name: name, UserID: u, Token: w.login(u, scope)}
	w.People = append(w.People, p)
	return p
}

// settle makes domains, projects and people.
func (w *World) settle() {
	for _, r := range w.admin("GET", "/identity/v3/roles", nil).Expect(http.StatusOK).List("roles") {
		role := r.(Object)
		w.Roles[role["name"].(string)] = role["id"].(string)
	}
	w.Domain, w.OtherDomain = w.domain("acme"), w.domain("umbra")
	w.Project, w.Other = w.project("works", w.Domain), w.project("elsewhere", w.Domain)
	third := w.project("third", w.Domain)
	w.Third = third
	w.People = append(w.People, &Person{Letter: '-', Name: "anonymous"})
	none := w.user("no role", w.Domain, "")
	w.People = append(w.People, &Person{Letter: '0', Name: "no role", UserID: none, Token: w.login(none, nil)})
	inProject, inDomain := "projects/"+w.Project, "domains/"+w.Domain
	w.scoped('r', "project reader", inProject, "reader", onProject(w.Project))
	member := w.scoped('m', "project member", inProject, "member", onProject(w.Project))
	w.scoped('g', "project manager", inProject, "manager", onProject(w.Project))
	w.scoped('a', "project admin", inProject, "admin", onProject(w.Project))
	w.scoped('f', "member of another project", "projects/"+w.Other, "member", onProject(w.Other))
	w.scoped('i', "domain reader", inDomain, "reader", onDomain(w.Domain))
	w.scoped('j', "domain member", inDomain, "member", onDomain(w.Domain))
	w.scoped('k', "domain manager", inDomain, "manager", onDomain(w.Domain))
	w.scoped('l', "domain admin", inDomain, "admin", onDomain(w.Domain))
	w.scoped('o', "manager of another domain", "domains/"+w.OtherDomain, "manager", onDomain(w.OtherDomain))
	w.scoped('R', "system reader", "system", "reader", onSystem())
	w.scoped('M', "system member", "system", "member", onSystem())
	w.scoped('A', "system admin", "system", "admin", onSystem())
	w.scoped('s', "service", inProject, "service", onProject(w.Project))
	w.delegate(member)
	w.withdraw()
}

// delegate makes the callers that act by what the member gave them.
func (w *World) delegate(member *Person) {
	add := func(letter byte, name, token string) {
		w.People = append(w.People, &Person{Letter: letter, Name: name, UserID: member.UserID, Token: token})
	}
	trustee := w.user("trustee", w.Domain, "")
	w.Trustee = trustee
	trust := w.by(member, "POST", "/identity/v3/OS-TRUST/trusts", Object{"trust": Object{"trustor_user_id": member.UserID, "trustee_user_id": trustee,
		"project_id": w.Project, "impersonation": true, "roles": []Object{{"name": "member"}}}}).Expect(http.StatusCreated).String("trust.id")
	w.Things["trust"] = trust
	add('t', "trust-scoped", w.login(trustee, Object{"OS-TRUST:trust": Object{"id": trust}}))
	path := "/identity/v3/users/" + member.UserID + "/application_credentials"
	bearer := func(name string, rules []Object) string {
		body := Object{"name": name, "secret": password}
		if rules != nil {
			body["access_rules"] = rules
		}
		made := w.by(member, "POST", path, Object{"application_credential": body}).Expect(http.StatusCreated)
		id := made.String("application_credential.id")
		w.Things[name] = id
		if rules != nil {
			w.Things["access rule"] = made.String("application_credential.access_rules.0.id")
		}
		return w.anonymous("POST", "/identity/v3/auth/tokens", Object{"auth": Object{"identity": Object{"methods": []string{"application_credential"},
			"application_credential": Object{"id": id, "secret": password}}}}).Expect(http.StatusCreated).Header.Get("X-Subject-Token")
	}
	add('c', "application credential", bearer("application credential", nil))
	add('C', "with access rules", bearer("with access rules", []Object{{"service": "compute", "method": "GET", "path": "/v2.1/servers"}}))
}

// passing gives a token that ends in a moment: before the world is ready.
func (w *World) passing(user string) string {
	late := &Person{Token: w.login(user, onProject(w.Project))}
	end := clock.Real{}.Now().Add(2 * time.Second).Format("2006-01-02T15:04:05.000000Z")
	id := w.by(late, "POST", "/identity/v3/users/"+user+"/application_credentials", Object{"application_credential": Object{"name": "passing", "secret": password,
		"expires_at": end}}).Expect(http.StatusCreated).String("application_credential.id")
	return w.anonymous("POST", "/identity/v3/auth/tokens", Object{"auth": Object{"identity": Object{"methods": []string{"application_credential"},
		"application_credential": Object{"id": id, "secret": password}}}}).Expect(http.StatusCreated).Header.Get("X-Subject-Token")
}

// expire waits for the end of the token that passing gave.
func (w *World) expire() {
	p := w.People.Named("expired")
	for range 200 {
		if w.by(p, "GET", "/identity/v3/auth/projects", nil).Status == http.StatusUnauthorized {
			return
		}
		<-clock.Real{}.After(50 * time.Millisecond) // nothing tells of it
	}
	w.t.Fatal("the token never expires")
}

// withdraw makes the callers whose right has ended.
func (w *World) withdraw() {
	add := func(letter byte, name, user, token string) {
		w.People = append(w.People, &Person{Letter: letter, Name: name, UserID: user, Token: token})
	}
	with := func(name, domain, project string) string {
		u := w.user(name, domain, "")
		w.grant("projects/"+project, u, "member")
		return u
	}
	u := with("late", w.Domain, w.Project)
	add('x', "expired", u, w.passing(u))

	u = with("revoked", w.Domain, w.Project)
	token := w.login(u, onProject(w.Project))
	w.admin("DELETE", "/identity/v3/auth/tokens", nil, "X-Subject-Token", token).Expect(http.StatusNoContent)
	add('v', "revoked", u, token)

	u = with("disabled user", w.Domain, w.Project)
	token = w.login(u, onProject(w.Project))
	w.admin("PATCH", "/identity/v3/users/"+u, Object{"user": Object{"enabled": false}}).Expect(http.StatusOK)
	add('u', "disabled user", u, token)

	closed := w.project("closed", w.Domain)
	u = with("of a disabled project", w.Domain, closed)
	token = w.login(u, onProject(closed))
	w.admin("PATCH", "/identity/v3/projects/"+closed, Object{"project": Object{"enabled": false}}).Expect(http.StatusOK)
	add('p', "disabled project", u, token)

	dead := w.domain("gone")
	of := w.project("of a dead domain", dead)
	u = with("of a dead domain", dead, of)
	token = w.login(u, onProject(of))
	w.admin("PATCH", "/identity/v3/domains/"+dead, Object{"domain": Object{"enabled": false}}).Expect(http.StatusOK)
	add('d', "disabled domain", u, token)
}
