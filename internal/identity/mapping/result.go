package mapping

// Kinds of users. An ephemeral user is made at its first login, a local one exists.
const (
	Ephemeral = "ephemeral"
	Local     = "local"
)

// Result is who somebody is here.
type Result struct {
	User     User
	GroupIDs []string  // each once, in the order of the rules
	Groups   []Group   // named ones, each once
	Projects []Project // on which the user has roles; projects of this name may have to be made
	Exact    bool      // schema 3.0: roles on projects that are not in Projects are taken from the user
}

// User is the user. An ephemeral one has ID and Name. ID is then not the id of
// a row but unique in its identity provider and protocol: percent-encoded, as
// upstream keeps it. A local one has an ID, or a Name with a Domain.
type User struct {
	ID, Name, Email string
	Type            string
	Domain          Domain // zero: that of the identity provider
}

// Domain is named by its id, or else its name. Zero: the rules name none.
type Domain struct{ ID, Name string }

// Group is a group by its name in a domain.
type Group struct {
	Name   string
	Domain Domain
}

// Project is a project by name, with what the user may do there.
type Project struct {
	Name   string
	Domain Domain // zero: that of the identity provider
	Roles  []Role
}

// Role is a role by name.
type Role struct{ Name string }
