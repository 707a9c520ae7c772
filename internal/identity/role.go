package identity

import "time"

// Role is a name that policies ask for. DomainID is empty for a global role; a
// domain role takes effect only through the roles it implies.
type Role struct {
	ID          string
	Name        string
	DomainID    string
	Description string
	Immutable   *bool
	Extra       map[string]any
	CreatedAt   time.Time
}

// Assignment gives one actor a role on one target. Exactly one of UserID and
// GroupID, and exactly one of ProjectID, DomainID and System is set. Inherited
// assignments act on the projects below the target, not on the target.
type Assignment struct {
	UserID    string
	GroupID   string
	ProjectID string
	DomainID  string
	System    bool
	RoleID    string
	Inherited bool
}
