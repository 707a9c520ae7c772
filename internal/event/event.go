// Package event holds the shape of audit records and events. They are written
// by package outbox in the transaction of the change they tell of.
package event

// Record is one change as the audit log and the event stream keep it. Its
// members follow DMTF CADF (initiator, action, target, outcome) without the envelope.
type Record struct {
	Service   string         `json:"service"`              // OpenStack service type, "compute"
	Action    string         `json:"action"`               // verb, "create", "delete", "update", "reboot"
	Kind      string         `json:"kind"`                 // resource, "server"
	Object    string         `json:"object"`               // id of the resource
	ProjectID string         `json:"project_id,omitempty"` // owner of the resource
	UserID    string         `json:"user_id,omitempty"`    // who asked; empty: the cloud itself
	RequestID string         `json:"request_id,omitempty"`
	Payload   map[string]any `json:"payload,omitempty"` // never holds a secret
}
