package hostlink

import "encoding/json"

// TakeInventory is the verb of a command that every section answers by itself:
// what is on the host now, and how far its documents are. It changes nothing,
// waits for no other command, and its result is not kept.
const TakeInventory = "take-inventory"

// Inventory is the answer to TakeInventory.
type Inventory struct {
	Section  Section        `json:"section"`
	Revision int64          `json:"revision"` // of the last document accepted
	Applied  int64          `json:"applied"`  // of the last one whose Apply returned
	Objects  []ObjectReport `json:"objects"`  // all that is on the host, desired or not
	// More is what only this section knows of its host, and no object's own:
	// for guests, how their processes are confined.
	More json.RawMessage `json:"more,omitempty"`
}

// Examiner is an Applier that knows more of its host than its objects' facts.
type Examiner interface {
	// Examine gives Inventory.More.
	Examine() (json.RawMessage, error)
}
