package identity

import "time"

// Policy is a text of rules that a service may fetch from here. Nothing in
// this cloud reads it: its own rules are the operator's policy file.
type Policy struct {
	ID        string
	Type      string // media type of Blob
	Blob      string
	Extra     map[string]any
	CreatedAt time.Time
}

// PolicyTarget is what a policy is for: one endpoint, all endpoints of a
// service, or those of a service in a region.
type PolicyTarget struct {
	EndpointID string
	ServiceID  string
	RegionID   string
}

// EndpointGroup is a set of endpoints, by what they have in common.
type EndpointGroup struct {
	ID          string
	Name        string
	Description *string
	Filters     EndpointFilters
	CreatedAt   time.Time
}

// EndpointFilters are what the endpoints of a group share; empty members do not matter.
type EndpointFilters struct {
	ServiceID string `json:"service_id,omitempty"`
	RegionID  string `json:"region_id,omitempty"`
	Interface string `json:"interface,omitempty"`
}

// Has tells whether an endpoint belongs to a group of these filters.
func (f EndpointFilters) Has(e *Endpoint) bool {
	return (f.ServiceID == "" || f.ServiceID == e.ServiceID) && (f.RegionID == "" || f.RegionID == e.RegionID) &&
		(f.Interface == "" || f.Interface == e.Interface)
}
