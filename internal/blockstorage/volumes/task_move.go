package volumes

import (
	"context"
	"encoding/json"
	"io"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
)

// Connect makes a volume available on the host of an attachment's server. One
// that another host keeps is moved; until that is done the old host keeps it,
// and calling again goes on. No saga: the caller's is the one that waits.
func (s *Volumes) Connect(ctx context.Context, attachment, host string) (*blockstorage.Volume, error) {
	a, err := s.Attachments.Get(ctx, attachment)
	if err != nil {
		return nil, err
	}
	if err := s.there(ctx, a.VolumeID, host); err != nil {
		return nil, err
	}
	var out *blockstorage.Volume
	err = s.DB.Write(ctx, func(tx *db.Tx) (err error) {
		out, err = s.arrive(ctx, tx, a, host)
		return err
	})
	return out, err
}

// Disconnect forgets where an attachment is connected, unless that is keep.
func (s *Volumes) Disconnect(ctx context.Context, attachment, keep string) error {
	a, err := s.Attachments.Get(ctx, attachment)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := s.store.Get(ctx, a.VolumeID)
	if err != nil {
		return err
	}
	if (a.Host == "" || a.Host == keep) && (v.MoveTo == "" || v.MoveTo == keep) {
		return nil
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		given := ""
		_, err := s.Change(ctx, tx, a.VolumeID, func(v *blockstorage.Volume) error {
			for i := range v.Attachments {
				at := &v.Attachments[i]
				if at.ID != a.ID || at.Host == keep {
					continue
				}
				at.Host, at.UpdatedAt = "", s.now()
				if err := s.Attachments.Set(ctx, tx, at); err != nil {
					return err
				}
			}
			if alone := len(v.Attachments) == 1; alone && v.MoveTo != keep && !moving(v) {
				given, v.MoveTo = v.MoveTo, "" // nobody wants it there any more
			}
			return nil
		})
		if err == nil && given != "" {
			_, err = s.RaiseHost(ctx, tx, given)
		}
		return err
	})
}

// moving tells whether a migration that was asked for is at work on a volume.
func moving(v *blockstorage.Volume) bool {
	return v.Migration == migrationStarting || v.Migration == migrating
}

// there waits until a host has a volume, sending it there first.
func (s *Volumes) there(ctx context.Context, id, host string) error {
	if err := s.head(ctx, id, host); err != nil {
		return err
	}
	revision, err := hoststate.Revision(ctx, s.DB, host, string(hostlink.Volumes))
	if err != nil {
		return err
	}
	return s.await(ctx, host, revision, id)
}

// bring makes a volume available on a host for somebody without an attachment.
func (s *Volumes) bring(ctx context.Context, id, host string) error {
	if err := s.there(ctx, id, host); err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := s.arrive(ctx, tx, &blockstorage.Attachment{VolumeID: id}, host)
		return err
	})
}

// ConnectorHost is the host that a connector speaks for. It must be one of
// this cloud: volumes are files of hosts, not exports.
func (s *Volumes) ConnectorHost(connector map[string]any) (string, error) {
	host, _ := connector["host"].(string) // another type is no host
	if host == "" {
		return "", fault.Invalidf("Invalid input received: Connector doesn't have required information: host")
	}
	if !slices.Contains(s.Hosts.Names(), host) {
		return "", fault.New(fault.NotImplemented, "Volumes are connected to hosts of this cloud only, and %s is none.", host)
	}
	return host, nil
}

// head sends a volume on its way to a host, unless it is there or going there.
// A migration to another host ends: what it copied would soon be old.
func (s *Volumes) head(ctx context.Context, id, host string) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		var from, given string
		_, err := s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
			if !v.Kept {
				return blockstorage.InvalidVolume("Volume %s is on no host.", id)
			}
			if v.MoveTo == host {
				return nil
			}
			given, v.MoveTo = v.MoveTo, ""
			if v.Host == host {
				return nil
			}
			for _, other := range v.Attachments {
				if other.Host != "" && other.Host != host {
					return fault.Conflictf("Volume %s is in use on another host.", id)
				}
			}
			from, v.MoveTo = v.Host, host
			return nil
		})
		if err == nil && from != "" {
			_, err = s.RaiseHost(ctx, tx, host)
		}
		if err == nil && given != "" {
			_, err = s.RaiseHost(ctx, tx, given)
		}
		return err
	})
}

// arrive ends a move and notes where the attachment is connected.
func (s *Volumes) arrive(ctx context.Context, tx *db.Tx, a *blockstorage.Attachment, host string) (*blockstorage.Volume, error) {
	old := ""
	v, err := s.Change(ctx, tx, a.VolumeID, func(v *blockstorage.Volume) error {
		if v.MoveTo == host {
			old, v.Host, v.MoveTo = v.Host, host, ""
		}
		if v.Host != host {
			return fault.Conflictf("Volume %s is on its way to another host.", v.ID)
		}
		for i := range v.Attachments {
			at := &v.Attachments[i]
			if at.ID != a.ID {
				continue
			}
			at.Host, at.Connected, at.UpdatedAt = host, true, s.now()
			if at.Status == blockstorage.AttachReserved {
				at.Status = blockstorage.AttachAttaching
			}
			if err := s.Attachments.Set(ctx, tx, at); err != nil {
				return err
			}
		}
		if v.Status == blockstorage.Reserved {
			v.Status = blockstorage.Attaching
		}
		return nil
	})
	if err != nil || old == "" {
		return v, err
	}
	if _, err := s.RaiseHost(ctx, tx, old); err != nil {
		return nil, err
	}
	_, err = s.RaiseHost(ctx, tx, host)
	return v, err
}

// Stream serves the bytes of a volume to the host that takes it over.
func (s *Volumes) Stream(ctx context.Context, host string, params json.RawMessage) (io.ReadWriteCloser, error) {
	var p disk.ReadParams
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, fault.Invalidf("parameters of the stream cannot be read").Because(err)
	}
	v, err := s.store.Get(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if v.MoveTo != host || !v.Kept {
		return nil, blockstorage.VolumeNotFound(p.ID)
	}
	return s.Hosts.Open(ctx, v.Host, string(hostlink.Volumes)+"/"+disk.StreamRead, p)
}
