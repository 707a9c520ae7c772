package volumes

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
)

// Hosts is what volumes ask of the hosts that keep them; hub.Hub is one.
type Hosts interface {
	hostlink.Hosts
	Names() []string
	Facts(host string) (hostlink.Facts, bool)
}

// Overcommit is how much more than a host's disk may be promised: volumes are thin.
const Overcommit = 20

// Pool is a host that keeps volumes.
type Pool struct {
	Host        string
	Alive       bool
	TotalGiB    int64
	PromisedGiB int64
}

// Kept is what a host keeps.
type Kept struct{ Volumes, VolumeGiB, Snapshots, SnapshotGiB int64 }

// FreeGiB is what the host may still promise.
func (p Pool) FreeGiB() int64 { return p.TotalGiB*Overcommit - p.PromisedGiB }

// KeptBy counts what a host keeps.
func (s *Volumes) KeptBy(ctx context.Context, host string) (Kept, error) {
	return keptBy(ctx, s.DB, host)
}

// Pools lists the hosts that are there, by name.
func (s *Volumes) Pools(ctx context.Context) ([]Pool, error) {
	promised, err := usage(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	var out []Pool
	for _, name := range s.Hosts.Names() {
		facts, _ := s.Hosts.Facts(name)
		out = append(out, Pool{Host: name, Alive: s.Hosts.Alive(name), TotalGiB: int64(facts.DiskGiB), PromisedGiB: promised[name]})
	}
	slices.SortFunc(out, func(a, b Pool) int { return strings.Compare(a.Host, b.Host) })
	return out, nil
}

// choose picks the host with most room for a volume; a wanted one must be there.
func choose(pools []Pool, sizeGiB int64, wanted string) (string, error) {
	best := -1
	for i, p := range pools {
		fits := p.Alive && p.FreeGiB() >= sizeGiB && (wanted == "" || p.Host == wanted)
		if fits && (best < 0 || p.FreeGiB() > pools[best].FreeGiB()) {
			best = i
		}
	}
	if best < 0 {
		return "", fault.Conflictf("No valid backend was found. No weighed backends available")
	}
	return pools[best].Host, nil
}

// What every host offers: the capabilities that extra specs of types may ask for.
var capabilities = map[string]string{"volume_backend_name": "mek", "vendor_name": VendorName, "storage_protocol": StorageProtocol,
	"thin_provisioning_support": "<is> True", "pool_name": "mek"}

// The names that hosts go by; clients of other clouds' tests know the vendor.
const (
	VendorName      = "Open Source"
	StorageProtocol = "file"
)

// offered refuses a type that asks for what no host has. Specs with a scope
// other than "capabilities" are not for choosing a host.
func offered(t *blockstorage.Type) error {
	for key, want := range t.ExtraSpecs {
		scope, name, scoped := strings.Cut(key, ":")
		if !scoped {
			name = key
		} else if scope != "capabilities" {
			continue
		}
		if name == "multiattach" || name == "replication_enabled" && strings.HasSuffix(want, "False") {
			continue
		}
		if have, ok := capabilities[name]; !ok || have != want {
			return fault.Conflictf("No valid backend was found. No weighed backends available")
		}
	}
	return nil
}

// Offers tells whether hosts offer what a type asks for.
func (s *Volumes) Offers(ctx context.Context, word string) (bool, error) {
	t, err := s.Types.Resolve(ctx, word, "", true)
	return err == nil && offered(t) == nil, err
}

// RaiseHost tells that what a host shall keep has changed.
func (s *Volumes) RaiseHost(ctx context.Context, tx *db.Tx, host string) (int64, error) {
	if host == "" {
		return 0, nil
	}
	revision, err := hoststate.Raise(ctx, tx, host, string(hostlink.Volumes))
	tx.AfterCommit(func() { s.Hosts.Poke(host, hostlink.Volumes) })
	return revision, err
}

// Specs lists what a host shall have of volumes.
func (s *Volumes) Specs(ctx context.Context, host string) ([]disk.Spec, error) {
	list, err := s.store.onHost(ctx, host)
	if err != nil {
		return nil, err
	}
	out := make([]disk.Spec, 0, len(list))
	for _, v := range list {
		spec := disk.Spec{ID: v.ID, Kind: disk.Volume, SizeBytes: v.SizeGiB * blockstorage.GiB, Format: disk.Raw, Epoch: v.Epoch}
		switch {
		case v.MoveTo == host:
			spec.Source = disk.Source{Kind: disk.FromHost, ID: v.ID}
		case v.Rewrite != blockstorage.Source{}:
			if spec.Source, err = s.source(ctx, v.Rewrite); err != nil {
				return nil, err
			}
		case firstContent(v):
			if spec.Source, err = s.source(ctx, v.Source); err != nil {
				return nil, err
			}
		default:
			spec.Made = true
		}
		out = append(out, spec)
	}
	return out, nil
}

// firstContent tells whether a volume is being made.
func firstContent(v *blockstorage.Volume) bool {
	return v.Status == blockstorage.Creating || v.Status == blockstorage.Downloading || v.Status == blockstorage.Restoring
}

// source tells a host where a volume's content comes from.
func (s *Volumes) source(ctx context.Context, from blockstorage.Source) (disk.Source, error) {
	switch {
	case from.ImageID != "":
		return disk.Source{Kind: disk.FromImage, ID: from.ImageID, Format: from.ImageFormat}, nil
	case from.SnapshotID != "":
		return disk.Source{Kind: disk.FromSnapshot, ID: from.SnapshotID}, nil
	case from.BackupID != "":
		return disk.Source{Kind: disk.FromBackup, ID: from.BackupID}, nil
	case from.RelicID != "":
		return disk.Source{Kind: disk.FromVolume, ID: from.RelicID}, nil
	case from.VolumeID != "":
		v, err := s.store.Get(ctx, from.VolumeID)
		if fault.Is(err, fault.NotFound) { // it is deleted only after its clones were made
			return disk.Source{Kind: disk.FromVolume, ID: from.VolumeID}, nil
		}
		if err != nil {
			return disk.Source{}, err
		}
		return disk.Source{Kind: disk.FromVolume, ID: v.ID, Guest: v.Guest()}, nil
	}
	return disk.Source{}, nil
}

// HostMayRead tells whether a host makes a volume from an image; it is an image.Claims.
func (s *Volumes) HostMayRead(ctx context.Context, host, imageID string) (bool, error) {
	return s.onHostFrom(ctx, host, func(from blockstorage.Source) bool { return from.ImageID == imageID })
}

// HostMayRestore tells whether a host makes a volume from a backup.
func (s *Volumes) HostMayRestore(ctx context.Context, host, backup string) (bool, error) {
	return s.onHostFrom(ctx, host, func(from blockstorage.Source) bool { return from.BackupID == backup })
}

// onHostFrom tells whether a host makes a volume from such a source.
func (s *Volumes) onHostFrom(ctx context.Context, host string, such func(blockstorage.Source) bool) (bool, error) {
	list, err := s.store.onHost(ctx, host)
	for _, v := range list {
		if such(v.Rewrite) || firstContent(v) && such(v.Source) {
			return true, nil
		}
	}
	return false, err
}

// lostText is what users are told of a volume whose bytes are not there.
const lostText = "The disk of this volume is not on its host any more. If the volume has a backup, restore that."

// Observe takes over what a host says of volumes whose disks it does not have,
// which happens when disks are lost or the database went back in time: such a
// volume is in error. One that is in use stays so, since it cannot be given back
// yet, and its user is told; one under way is its saga's business. What comes back
// with its disk is what it was.
func (s *Volumes) Observe(ctx context.Context, r hostlink.Report) error {
	var all error
	ready := map[string]bool{}
	for _, o := range r.Objects {
		switch {
		case o.Kept == hostlink.KeptLost && o.Phase == hostlink.Failed:
			all = errors.Join(all, s.lost(ctx, r.Host, o.ID))
		case o.Phase == hostlink.Ready:
			ready[o.ID] = true
		}
	}
	if len(ready) == 0 {
		return all
	}
	missed, err := s.store.withError(ctx, r.Host, lostText)
	for _, id := range missed {
		if ready[id] {
			err = errors.Join(err, s.found(ctx, r.Host, id))
		}
	}
	return errors.Join(all, err)
}

// found takes back that a volume is lost.
func (s *Volumes) found(ctx context.Context, host, id string) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		return s.ifThere(ctx, tx, id, func(v *blockstorage.Volume) error {
			if v.Host != host || !v.Kept || v.MoveTo != "" || v.Error != lostText {
				return nil // a report that is overtaken
			}
			if v.Error = ""; v.Status == blockstorage.Error {
				v.Status = blockstorage.StatusOf(v.Attachments)
			}
			return nil
		})
	})
}

func (s *Volumes) lost(ctx context.Context, host, id string) error {
	concerned := func(v *blockstorage.Volume) bool {
		return v.Host == host && v.Kept && v.MoveTo == "" && (v.Status == blockstorage.Available || v.Status == blockstorage.InUse && v.Error != lostText)
	}
	if v, err := s.store.Get(ctx, id); fault.Is(err, fault.NotFound) || err == nil && !concerned(v) {
		return nil // a snapshot, or a report that is overtaken
	} else if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		return s.ifThere(ctx, tx, id, func(v *blockstorage.Volume) error {
			if !concerned(v) {
				return nil
			}
			if v.Error = lostText; v.Status == blockstorage.Available {
				v.Status = blockstorage.Error
			}
			return s.Messages.Tell(ctx, tx, blockstorage.Message{ProjectID: v.ProjectID, Kind: "VOLUME", ResourceID: v.ID, Event: "001_001", Text: lostText})
		})
	})
}
