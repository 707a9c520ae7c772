package image

// Status is how far an image is.
type Status string

// The statuses. Killed, pending_delete and deleted are part of the API's
// vocabulary; rows of deleted images are gone here.
const (
	Queued        Status = "queued"    // a record without bytes
	Saving        Status = "saving"    // bytes are arriving
	Uploading     Status = "uploading" // bytes are arriving to be imported later
	Importing     Status = "importing"
	Active        Status = "active"
	Deactivated   Status = "deactivated" // bytes are there, only administrators may read them
	Killed        Status = "killed"      // an upload failed for good
	PendingDelete Status = "pending_delete"
	Deleted       Status = "deleted"
)

// Statuses lists all statuses, in the order of an image's life.
func Statuses() []Status {
	return []Status{Queued, Saving, Uploading, Importing, Active, Deactivated, Killed, PendingDelete, Deleted}
}
