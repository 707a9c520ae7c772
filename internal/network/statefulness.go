package network

import "time"

// Statefulness says whether new security groups of a project are stateful.
type Statefulness struct {
	ID        string
	ProjectID string // empty: of all projects that have none of their own
	Stateful  bool
	CreatedAt time.Time
}
