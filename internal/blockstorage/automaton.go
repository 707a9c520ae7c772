package blockstorage

import "github.com/mekcloud/mek/internal/automaton"

// Lives are those of everything that has a status.
func Lives() []automaton.Automaton {
	return []automaton.Automaton{VolumeLife(), SnapshotLife(), AttachmentLife(), BackupLife(), GroupLife(), GroupSnapshotLife()}
}

// VolumeLife is the life of a volume. In attachments' words a volume is what
// StatusOf says; what is under way ends where it began, or in an error of its own.
func VolumeLife() automaton.Automaton {
	return automaton.Of("volume", "blockstorage_volumes", "status", map[VolumeStatus][]VolumeStatus{
		automaton.Gone:   {Creating, Available},
		Creating:         {Available, Downloading, Restoring, Error, Deleting, automaton.Gone},
		Downloading:      {Available, Reserved, InUse, Error, Deleting, automaton.Gone},
		Available:        {Reserved, Attaching, InUse, Extending, Uploading, Downloading, Maintenance, AwaitingTransfer, Deleting, Error, Reverting, BackingUp, Restoring, Retyping, automaton.Gone},
		Reserved:         {Available, Attaching, InUse, Detaching, Downloading, Error, Deleting},
		Attaching:        {Available, Reserved, InUse, Detaching, Error, Deleting},
		InUse:            {Available, Reserved, Attaching, Detaching, Downloading /* its server is rebuilt */, Extending, Uploading, Maintenance, BackingUp, Retyping, Deleting, Error},
		Detaching:        {Available, Reserved, Attaching, InUse, Error, Deleting},
		Extending:        {Available, InUse, ErrorExtending, Error},
		Uploading:        {Available, InUse, Error},
		Maintenance:      {Available, InUse, Error},
		AwaitingTransfer: {Available},
		Retyping:         {Available, InUse, Error},
		Reverting:        {Available, Error},
		BackingUp:        {Available, InUse, Error},
		Restoring:        {Available, ErrorRestoring, Error, Deleting},
		Deleting:         {ErrorDeleting, Error, automaton.Gone},
		Error:            {Available, Downloading, Deleting, automaton.Gone},
		ErrorDeleting:    {Deleting, automaton.Gone},
		ErrorExtending:   {Deleting, automaton.Gone},
		ErrorRestoring:   {Deleting, automaton.Gone},
	}, Resettable...)
}

// SnapshotLife is the life of a snapshot.
func SnapshotLife() automaton.Automaton {
	return automaton.Of("snapshot", "blockstorage_snapshots", "status", map[SnapshotStatus][]SnapshotStatus{
		automaton.Gone:        {SnapshotCreating, SnapshotAvailable},
		SnapshotCreating:      {SnapshotAvailable, SnapshotError, SnapshotDeleting, automaton.Gone},
		SnapshotAvailable:     {SnapshotRestoring, SnapshotBackingUp, SnapshotDeleting, SnapshotError, automaton.Gone},
		SnapshotRestoring:     {SnapshotAvailable, SnapshotError, SnapshotDeleting},
		SnapshotBackingUp:     {SnapshotAvailable, SnapshotError, SnapshotDeleting},
		SnapshotDeleting:      {SnapshotErrorDeleting, SnapshotError, automaton.Gone},
		SnapshotError:         {SnapshotDeleting, automaton.Gone},
		SnapshotErrorDeleting: {SnapshotDeleting, automaton.Gone},
	}, SnapshotResettable...)
}

// AttachmentLife is the life of an attachment.
func AttachmentLife() automaton.Automaton {
	return automaton.Of("attachment", "blockstorage_attachments", "status", map[AttachStatus][]AttachStatus{
		automaton.Gone:  {AttachReserved, AttachAttaching, AttachAttached},
		AttachReserved:  {AttachAttaching, AttachAttached, AttachDetaching, automaton.Gone},
		AttachAttaching: {AttachReserved, AttachAttached, AttachDetaching, automaton.Gone},
		AttachAttached:  {AttachReserved, AttachAttaching, AttachDetaching, automaton.Gone},
		AttachDetaching: {AttachAttached, automaton.Gone},
	})
}

// BackupLife is the life of a backup.
func BackupLife() automaton.Automaton {
	return automaton.Of("backup", "blockstorage_backups", "status", map[BackupStatus][]BackupStatus{
		automaton.Gone:  {BackupCreating, BackupAvailable},
		BackupCreating:  {BackupAvailable, BackupError, BackupDeleting, automaton.Gone},
		BackupAvailable: {BackupRestoring, BackupDeleting, automaton.Gone},
		BackupRestoring: {BackupAvailable, BackupError, BackupDeleting},
		BackupDeleting:  {BackupErrorDel, BackupError, automaton.Gone},
		BackupError:     {BackupDeleting, automaton.Gone},
		BackupErrorDel:  {BackupDeleting, automaton.Gone},
	}, "available", "error")
}

// GroupLife is the life of a group of volumes.
func GroupLife() automaton.Automaton {
	return automaton.Of("group", "blockstorage_groups", "status", map[GroupStatus][]GroupStatus{
		automaton.Gone: {GroupCreating, GroupAvailable},
		GroupCreating:  {GroupAvailable, GroupError, GroupDeleting, automaton.Gone},
		GroupAvailable: {GroupUpdating, GroupDeleting, GroupError, automaton.Gone},
		GroupUpdating:  {GroupAvailable, GroupError, GroupDeleting},
		GroupDeleting:  {GroupErrorDel, GroupError, automaton.Gone},
		GroupError:     {GroupUpdating, GroupDeleting, automaton.Gone},
		GroupErrorDel:  {GroupDeleting, automaton.Gone},
	}, groupResettable...)
}

// GroupSnapshotLife is the life of a snapshot of a group.
func GroupSnapshotLife() automaton.Automaton {
	return automaton.Of("group snapshot", "blockstorage_group_snapshots", "status", map[GroupStatus][]GroupStatus{
		automaton.Gone: {GroupCreating},
		GroupCreating:  {GroupAvailable, GroupError, GroupDeleting, automaton.Gone},
		GroupAvailable: {GroupDeleting, GroupError, automaton.Gone},
		GroupDeleting:  {GroupErrorDel, GroupError, automaton.Gone},
		GroupError:     {GroupDeleting, automaton.Gone},
		GroupErrorDel:  {GroupDeleting, automaton.Gone},
	}, groupResettable...)
}

// groupResettable are the statuses that reset_status writes.
var groupResettable = []string{"available", "creating", "deleting", "error", "error_deleting", "updating"}
