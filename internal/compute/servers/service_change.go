package servers

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/outbox"
)

// Delete begins to delete a server, from whatever state; what runs on it is
// cancelled. override: the caller may delete a locked server.
func (s *Servers) Delete(ctx context.Context, serverID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := unlocked(one, override); err != nil {
			return err
		}
		if one.Task != compute.Deleting {
			if err := beginAction(ctx, tx, one, "delete", "compute_terminate_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
				return err
			}
		}
		one.Task = compute.Deleting
		_, err := s.sagas.remove.Enqueue(ctx, tx, work(one, record, true), removeParams{})
		return err
	})
	return err
}

// Power begins to change what a guest does; verb is the API's action name.
func (s *Servers) Power(ctx context.Context, serverID, verb string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		v := powerVerbs[verb]
		if err := ready(one, verb, override); err != nil {
			return err
		}
		one.Task = v.during
		if err := beginAction(ctx, tx, one, v.name, "compute_"+v.name+"_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.power.Enqueue(ctx, tx, work(one, record, false), powerParams{verb})
		return err
	})
	return err
}

// ready refuses what the server's state or lock forbids.
func ready(one *Server, verb string, override bool) error {
	if err := unlocked(one, override); err != nil {
		return err
	}
	if err := allowed(one, verb); err != nil {
		return err
	}
	if one.Host == "" && verb != "attach_interface" && verb != "attach_volume" && verb != "detach_volume" {
		return fault.Conflictf("Instance %s is not ready", one.ID)
	}
	return nil
}

// SoftReboot asks the guest to restart itself.
func (s *Servers) SoftReboot(ctx context.Context, serverID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "reboot_soft", override); err != nil {
			return err
		}
		one.Task = compute.Rebooting
		if err := beginAction(ctx, tx, one, "reboot", "compute_reboot_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.reboot.Enqueue(ctx, tx, work(one, record, false), rebootParams{})
		return err
	})
	return err
}

// Lock keeps users from changing a server; reason may be empty.
func (s *Servers) Lock(ctx context.Context, serverID, reason string, byOwner bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if one.Locked && !byOwner {
			return s.logAction(ctx, tx, one, "lock", record)
		}
		if !one.Locked || one.LockedByUser {
			one.LockedByUser = byOwner
		}
		one.Locked, one.LockReason = true, reason
		return s.logAction(ctx, tx, one, "lock", record)
	})
	return err
}

// Unlock ends a lock. What an administrator locked needs override.
func (s *Servers) Unlock(ctx context.Context, serverID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if one.Locked && !one.LockedByUser && !override {
			return fault.Forbiddenf("Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.").With("Forbidden")
		}
		one.Locked, one.LockedByUser, one.LockReason = false, false, ""
		return s.logAction(ctx, tx, one, "unlock", record)
	})
	return err
}

// logAction records an action that is over as soon as it is accepted.
func (s *Servers) logAction(ctx context.Context, tx *db.Tx, one *Server, name string, record event.Record) error {
	return beginAction(ctx, tx, one, name, "", record.UserID, record.RequestID, one.UpdatedAt)
}

// ResetState writes a state that the next real change replaces.
func (s *Servers) ResetState(ctx context.Context, serverID string, vm compute.VMState, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		one.VM, one.Task = vm, compute.NoTask
		if vm == compute.VMError { // nothing is in ERROR without a reason and its request
			one.Fault = &compute.ServerFault{Code: 500, Message: "The state was set by an administrator.", CreatedAt: stamp(s.Clock), RequestID: record.RequestID}
		}
		return s.logAction(ctx, tx, one, "reset_state", record)
	})
	return err
}

// Update is what a user may change of a server's row.
type Update struct {
	Name, Hostname, AccessIPv4, AccessIPv6, DiskConfig *string
	Description                                        *string
	Describe                                           bool // Description is to be set, to null when it is nil
}

func (u Update) apply(one *Server) {
	set := func(to, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&one.Name, u.Name)
	set(&one.Hostname, u.Hostname)
	set(&one.AccessIPv4, u.AccessIPv4)
	set(&one.AccessIPv6, u.AccessIPv6)
	set(&one.DiskConfig, u.DiskConfig)
	if u.Describe {
		one.Described, one.Description = u.Description != nil, ""
		set(&one.Description, u.Description)
	}
}

// Update changes a server's row.
func (s *Servers) Update(ctx context.Context, serverID string, u Update, override bool, record event.Record) (*Server, error) {
	return s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := unlocked(one, override); err != nil {
			return err
		}
		u.apply(one)
		if u.Hostname == nil && u.Name == nil {
			return nil
		}
		_, err := s.raise(ctx, tx, one.Host, one.ID) // the guest's metadata say both
		return err
	})
}

// Metadata edits a server's metadata items.
func (s *Servers) Metadata(ctx context.Context, serverID string, override bool, record event.Record, fn func(items map[string]string) error) (*Server, error) {
	return s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := unlocked(one, override); err != nil {
			return err
		}
		if err := allowed(one, "update_metadata"); err != nil {
			return err
		}
		items := maps.Clone(one.Metadata)
		if err := fn(items); err != nil {
			return err
		}
		limits, err := s.Quota.Limits(ctx, tx, one.ProjectID)
		if err != nil {
			return err
		}
		if limit := limits["metadata_items"]; limit >= 0 && int64(len(items)) > limit && len(items) > len(one.Metadata) {
			return fault.OverQuotaf("Maximum number of metadata items exceeds %d", limit)
		}
		one.Metadata = items
		_, err = s.raise(ctx, tx, one.Host, one.ID)
		return err
	})
}

// maxTags is how many tags a server may have.
const maxTags = 50

// Tags edits a server's tags.
func (s *Servers) Tags(ctx context.Context, serverID string, record event.Record, fn func(tags []string) ([]string, error)) (*Server, error) {
	return s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		tags, err := fn(slices.Clone(one.Tags))
		if err != nil {
			return err
		}
		slices.Sort(tags)
		one.Tags = slices.Compact(tags)
		if len(one.Tags) > maxTags {
			return fault.Invalidf("The number of tags exceeded the per-server limit %d", maxTags)
		}
		return putTags(ctx, tx, one)
	})
}

// AttachVolume begins to attach a volume that the project has.
func (s *Servers) AttachVolume(ctx context.Context, serverID string, d Disk, override bool, record event.Record) (*Disk, error) {
	d.ID, d.Server, d.State, d.Kind, d.GuestID = id.New(), serverID, diskAttaching, guest.DiskVolume, d.VolumeID
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "attach_volume", override); err != nil {
			return err
		}
		disks, err := disksOf(ctx, tx, serverID)
		if err != nil {
			return err
		}
		if err := d.takePlace(disks[serverID]); err != nil {
			return err
		}
		if err := putDisk(ctx, tx, &d); err != nil {
			return err
		}
		if err := beginAction(ctx, tx, one, "attach_volume", "compute_attach_volume", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err = s.sagas.attachVolume.Enqueue(ctx, tx, work(one, record, false), diskParams{d.ID})
		return err
	})
	return &d, err
}

// takePlace gives a disk the first free place behind the root, and its device name.
func (d *Disk) takePlace(others []*Disk) error {
	taken := map[int]bool{}
	for _, o := range others {
		if o.VolumeID == d.VolumeID {
			return fault.Invalidf("Invalid volume: Volume %s is already attached to instance %s", d.VolumeID, d.Server)
		}
		taken[o.Position] = true
	}
	for i := 1; i < 26; i++ {
		if !taken[i] {
			d.Position, d.DeviceName = i, "/dev/vd"+string(rune('a'+i))
			return nil
		}
	}
	return fault.Forbiddenf("The server has as many disks as it can have.")
}

// DetachVolume begins to take a volume away from a server.
func (s *Servers) DetachVolume(ctx context.Context, serverID, volumeID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "detach_volume", override); err != nil {
			return err
		}
		d, err := diskOfVolume(ctx, tx, serverID, volumeID)
		if err != nil {
			return err
		}
		if d.Position == 0 {
			return fault.Forbiddenf("Cannot detach a root device volume")
		}
		if d.State != diskAttached {
			return fault.Conflictf("Cannot 'detach_volume' instance %s while the volume is %s", serverID, d.State)
		}
		d.State = diskDetaching
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
		if err := beginAction(ctx, tx, one, "detach_volume", "compute_detach_volume", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err = s.sagas.detachVolume.Enqueue(ctx, tx, work(one, record, false), diskParams{d.ID})
		return err
	})
	return err
}

// diskOfVolume finds the disk of a server that is a volume.
func diskOfVolume(ctx context.Context, q db.Querier, serverID, volumeID string) (*Disk, error) {
	users, err := volumeUsers(ctx, q, volumeID)
	if err != nil {
		return nil, err
	}
	for _, d := range users {
		if d.Server == serverID {
			return d, nil
		}
	}
	return nil, fault.NotFoundf("Instance %s is not attached to volume %s", serverID, volumeID)
}

// KeepOnTermination sets whether a volume is deleted with its server.
func (s *Servers) KeepOnTermination(ctx context.Context, serverID, volumeID string, remove bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, _ *Server) error {
		d, err := diskOfVolume(ctx, tx, serverID, volumeID)
		if err != nil {
			return err
		}
		d.DeleteOnTermination = remove
		return putDisk(ctx, tx, d)
	})
	return err
}

// AttachInterface begins to give a server another card, and answers its saga.
func (s *Servers) AttachInterface(ctx context.Context, serverID string, want network.PortRequest, override bool, record event.Record) (port, saga string, err error) {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return "", "", err
	}
	var requests []network.PortRequest
	if want != (network.PortRequest{}) {
		requests = append(requests, want)
	}
	planned, err := s.Networks.Plan(ctx, one.ProjectID, requests, false, nil)
	if err != nil {
		return "", "", err
	}
	if len(planned) == 0 {
		return "", "", fault.Invalidf("The project has no network to attach to.")
	}
	nic := &NIC{PortID: planned[0].PortID, Server: serverID, Plan: planned[0]}
	nic.Plan.Tag = want.Tag
	_, err = s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "attach_interface", override); err != nil {
			return err
		}
		nics, err := nicsOf(ctx, tx, serverID)
		if err != nil {
			return err
		}
		for _, n := range nics[serverID] {
			nic.Position = max(nic.Position, n.Position+1)
			if n.PortID == nic.PortID {
				return fault.Conflictf("Port %s is still in use.", n.PortID)
			}
		}
		if err := putNIC(ctx, tx, nic); err != nil {
			return err
		}
		if err := beginAction(ctx, tx, one, "attach_interface", "compute_attach_interface", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		saga, err = s.sagas.attachInterface.Enqueue(ctx, tx, work(one, record, false), nicParams{nic.PortID})
		return err
	})
	return nic.PortID, saga, err
}

// DetachInterface begins to take a card away.
func (s *Servers) DetachInterface(ctx context.Context, serverID, portID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "detach_interface", override); err != nil {
			return err
		}
		if _, err := getNIC(ctx, tx, serverID, portID); err != nil {
			if isGone(err) {
				return fault.NotFoundf("Port %s could not be found.", portID)
			}
			return err
		}
		if err := beginAction(ctx, tx, one, "detach_interface", "compute_detach_interface", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.detachInterface.Enqueue(ctx, tx, work(one, record, false), nicParams{portID})
		return err
	})
	return err
}

// audit writes the record of a request that changes nothing here.
func (s *Servers) audit(ctx context.Context, record event.Record) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error { return outbox.Write(ctx, tx, record) })
}
