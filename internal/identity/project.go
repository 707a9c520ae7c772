package identity

import (
	"context"
	"time"
)

// Project owns resources. A domain is a project with IsDomain, whose DomainID
// and ParentID are empty; ids of both share one name space.
type Project struct {
	ID          string
	Name        string
	DomainID    string
	ParentID    string // the domain's id for a project at the top
	Description string
	Enabled     bool
	IsDomain    bool
	Immutable   *bool // resource option; nil: never set
	Tags        []string
	Extra       map[string]any
	CreatedAt   time.Time
}

// DomainChange is an update of a domain; nil members stay.
type DomainChange struct {
	Name, Description *string
	Enabled           *bool
	SetImmutable      bool
	Immutable         *bool
	Extra             map[string]any // laid over the stored attributes; nil values remove
}

// Projects is what other services may ask about projects. NotFound when there
// is none.
type Projects interface {
	Get(ctx context.Context, id string) (*Project, error)
}
