package identity

import "time"

// RegisteredLimit is the default limit of a resource of a service.
type RegisteredLimit struct {
	ID           string
	ServiceID    string
	RegionID     string
	ResourceName string
	DefaultLimit int64
	Description  *string
	CreatedAt    time.Time
}

// Limit overrides a registered limit for one project or domain.
type Limit struct {
	ID            string
	ProjectID     string
	DomainID      string
	RegisteredID  string
	ServiceID     string
	RegionID      string
	ResourceName  string
	ResourceLimit int64
	Description   *string
	CreatedAt     time.Time
}
