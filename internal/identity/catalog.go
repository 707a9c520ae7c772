package identity

import "time"

// Region is a node of the tree of places; its id is chosen by people.
type Region struct {
	ID          string
	ParentID    string
	Description string
	Extra       map[string]any
	CreatedAt   time.Time
}

// Service is something the catalog offers.
type Service struct {
	ID          string
	Type        string
	Name        string
	Description string
	Enabled     bool
	Extra       map[string]any
	CreatedAt   time.Time
}

// Endpoint is an address of a service. URL may hold %(project_id)s,
// $(project_id)s, their tenant_id spellings and user_id.
type Endpoint struct {
	ID        string
	ServiceID string
	RegionID  string
	Interface string // public, internal or admin
	URL       string
	Enabled   bool
	Name      string
	Extra     map[string]any
	CreatedAt time.Time
}

// LegacyEndpoint is the attribute of an endpoint that version 2.0 of the API
// keeps for itself: which of its endpoints the address belongs to.
const LegacyEndpoint = "legacy_endpoint_id"

// CatalogEntry is one row of the table from which a new cloud's catalog is made.
type CatalogEntry struct {
	Type string
	Name string
	URL  string // with the placeholders of Endpoint.URL
	// AdminURL is the address of the admin interface where it is another.
	AdminURL string
}
