package blockstorage

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
)

// VolumeStatus is the status of a volume, in the API's spelling.
type VolumeStatus string

// The statuses of volumes.
const (
	Creating         VolumeStatus = "creating"
	Downloading      VolumeStatus = "downloading" // creating, from an image
	Available        VolumeStatus = "available"
	Reserved         VolumeStatus = "reserved"
	Attaching        VolumeStatus = "attaching"
	Detaching        VolumeStatus = "detaching"
	InUse            VolumeStatus = "in-use"
	Extending        VolumeStatus = "extending"
	Uploading        VolumeStatus = "uploading"
	Maintenance      VolumeStatus = "maintenance"
	AwaitingTransfer VolumeStatus = "awaiting-transfer"
	Deleting         VolumeStatus = "deleting"
	Error            VolumeStatus = "error"
	ErrorDeleting    VolumeStatus = "error_deleting"
	ErrorExtending   VolumeStatus = "error_extending"
	Reverting        VolumeStatus = "reverting"
	BackingUp        VolumeStatus = "backing-up"
	Restoring        VolumeStatus = "restoring-backup"
	ErrorRestoring   VolumeStatus = "error_restoring"
	Retyping         VolumeStatus = "retyping"
)

// Resettable are the statuses that os-reset_status writes.
var Resettable = []string{"creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing", "attaching", "detaching",
	"in-use", "maintenance", "reserved", "error_extending", "error_restoring", "error_backing-up", "awaiting-transfer", "extending", "uploading",
	"backing-up", "restoring-backup", "retyping", "downloading"}

// SnapshotStatus is the status of a snapshot.
type SnapshotStatus string

// The statuses of snapshots.
const (
	SnapshotCreating      SnapshotStatus = "creating"
	SnapshotAvailable     SnapshotStatus = "available"
	SnapshotDeleting      SnapshotStatus = "deleting"
	SnapshotError         SnapshotStatus = "error"
	SnapshotErrorDeleting SnapshotStatus = "error_deleting"
	SnapshotRestoring     SnapshotStatus = "restoring"
	SnapshotBackingUp     SnapshotStatus = "backing-up"
)

// SnapshotResettable are the statuses that os-reset_status writes.
var SnapshotResettable = []string{"available", "creating", "deleting", "error", "error_deleting", "unmanaging", "backing-up", "restoring"}

// AttachStatus is the status of an attachment.
type AttachStatus string

// The statuses of attachments.
const (
	AttachReserved  AttachStatus = "reserved"
	AttachAttaching AttachStatus = "attaching"
	AttachAttached  AttachStatus = "attached"
	AttachDetaching AttachStatus = "detaching"
)

// VolumeAction names an operation that statuses permit.
type VolumeAction string

// The operations of a volume that depend on its status.
const (
	ActDelete         VolumeAction = "delete"
	ActExtend         VolumeAction = "extend"
	ActExtendAttached VolumeAction = "extend attached" // from 3.42
	ActSnapshot       VolumeAction = "snapshot"
	ActSnapshotForce  VolumeAction = "snapshot by force"
	ActClone          VolumeAction = "clone"
	ActUpload         VolumeAction = "upload"
	ActReserve        VolumeAction = "reserve"
	ActAttach         VolumeAction = "attach"
	ActBeginDetach    VolumeAction = "begin detaching"
	ActTransfer       VolumeAction = "transfer"
	ActRevert         VolumeAction = "revert"
	ActReimage        VolumeAction = "reimage"
	ActReimageForced  VolumeAction = "reimage reserved"
	ActRestore        VolumeAction = "restore"
	ActBackup         VolumeAction = "backup"
	ActBackupForce    VolumeAction = "backup by force"
	ActMigrate        VolumeAction = "migrate"
	ActReadOnly       VolumeAction = "set the read-only flag"
)

// Permitted says from which statuses an operation may begin: the one table
// that the API (400), documentation and tests share. Statuses of our own that
// pass by themselves do not hinder deletion.
var Permitted = map[VolumeAction][]VolumeStatus{
	ActDelete:         {Available, Error, ErrorRestoring, ErrorExtending, "error_managing", Creating, Downloading, Deleting, ErrorDeleting},
	ActExtend:         {Available},
	ActExtendAttached: {Available, InUse},
	ActSnapshot:       {Available, InUse},
	ActSnapshotForce:  {Available, InUse},
	ActClone:          {Available, InUse},
	ActUpload:         {Available},
	ActReserve:        {Available},
	ActAttach:         {Available, Reserved, Attaching},
	ActBeginDetach:    {InUse},
	ActTransfer:       {Available},
	ActRevert:         {Available},
	ActReimage:        {Available, Error},
	ActReimageForced:  {Available, Error, Reserved},
	ActRestore:        {Available},
	ActBackup:         {Available},
	ActBackupForce:    {Available, InUse},
	ActMigrate:        {Available, InUse},
	ActReadOnly:       {Available},
}

// Busy tells whether work on a volume is under way that decides what its
// status will be.
func (s VolumeStatus) Busy() bool {
	return slices.Contains([]VolumeStatus{Creating, Downloading, Deleting, Extending, Uploading, Reverting, BackingUp, Restoring, Maintenance}, s)
}

// May tells whether a volume's status permits an operation.
func (v *Volume) May(a VolumeAction) bool { return slices.Contains(Permitted[a], v.Status) }

// StatusOf is the status of a volume that nothing happens to, from its attachments.
func StatusOf(list []Attachment) VolumeStatus {
	found := Available
	rank := map[AttachStatus]VolumeStatus{AttachReserved: Reserved, AttachAttaching: Attaching, AttachDetaching: Detaching}
	for _, a := range list {
		if a.Status == AttachAttached {
			return InUse
		}
		if found == Available || a.Status == AttachAttaching {
			found = rank[a.Status]
		}
	}
	return found
}

// NoteReset keeps a reason for an error that an administrator set: nothing is
// in error without one.
func NoteReset(reason *string, status string) {
	if strings.HasPrefix(status, "error") && *reason == "" {
		*reason = "The status was set by an administrator."
	}
}

// InvalidVolume is the refusal of a volume's state: 400 in this API.
func InvalidVolume(format string, args ...any) error {
	f := fault.Invalidf(format, args...)
	f.Text = "Invalid volume: " + f.Text
	return f
}

// InvalidSnapshot is the refusal of a snapshot's state.
func InvalidSnapshot(format string, args ...any) error {
	f := fault.Invalidf(format, args...)
	f.Text = "Invalid snapshot: " + f.Text
	return f
}

// VolumeNotFound and its kin are worded as upstream words them: clients look for "could not be found".
func VolumeNotFound(id string) error {
	return fault.NotFoundf("Volume %s could not be found.", id).With("VolumeNotFound")
}

// SnapshotNotFound says that a snapshot does not exist for the caller.
func SnapshotNotFound(id string) error {
	return fault.NotFoundf("Snapshot %s could not be found.", id).With("SnapshotNotFound")
}

// AttachmentNotFound says that an attachment does not exist for the caller.
func AttachmentNotFound(id string) error {
	return fault.NotFoundf("Volume attachment could not be found with filter: attachment_id = %s.", id).With("VolumeAttachmentNotFound")
}

// TypeNotFound says that a type does not exist for the caller.
func TypeNotFound(id string) error {
	return fault.NotFoundf("Volume type %s could not be found.", id).With("VolumeTypeNotFound")
}
