package volumeapi

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/db"
)

const (
	hostConverges = "wait for the host: it makes what is missing and removes what nobody claims; then look at the log of its mek agent"
	reportIt      = "report it with this line"
)

var (
	ghostVolume   = check.Code{ID: "I-08/ghost-volume", Means: "a host keeps a volume, snapshot or copy that no row gives it", Remedy: hostConverges}
	missingVolume = check.Code{ID: "I-08/missing-volume", Means: "a host does not have a volume, snapshot or copy that it shall keep", Remedy: "with its disk it comes back by itself; if that is lost, restore a backup:  openstack volume backup restore"}
	wrongSize     = check.Code{ID: "I-08/volume-size", Means: "a volume is smaller on its host than its row says", Remedy: hostConverges}
	ghostAttach   = check.Code{ID: "I-07/ghost-attachment", Means: "an attachment of a volume that is gone", Remedy: "openstack volume attachment delete"}
	attachStatus  = check.Code{ID: "I-07/volume-status", Means: "a volume's status is not that of its attachments", Remedy: "openstack volume set --state"}
	volumeSaga    = check.Code{ID: "I-13/volume-status", Means: "something of block storage is in between and no operation works on it", Remedy: "openstack volume set --state, or the same of snapshot, backup or group"}
	sagaObject    = check.Code{ID: "I-13/volume-saga", Means: "an operation works on something of block storage that is gone", Remedy: reportIt}
	childless     = check.Code{ID: "I-09/volume-parent", Means: "a snapshot, backup or group member without what it is of", Remedy: reportIt}
	homeless      = check.Code{ID: "I-08/volume-host", Means: "something is to be kept by no host", Remedy: reportIt}
	noReason      = check.Code{ID: "I-22/volume-error", Means: "something of block storage is in error and does not say why", Remedy: reportIt}
	orphan        = check.Code{ID: "I-08/volume-orphan", Means: "a row hangs on a volume that is gone", Remedy: reportIt}
)

// things are the tables of what users make, and the statuses in which a saga
// is at work and in which something went wrong.
var things = []struct {
	kind, rows   string
	busy, failed []string
}{
	{"volume", "SELECT id, status, error FROM blockstorage_volumes", []string{"creating", "downloading", "deleting", "extending", "reverting", "restoring-backup", "maintenance"},
		[]string{"error", "error_extending", "error_restoring", "error_deleting"}},
	{"snapshot", "SELECT id, status, error FROM blockstorage_snapshots", []string{"creating", "deleting"}, []string{"error", "error_deleting"}},
	{"backup", "SELECT id, status, error FROM blockstorage_backups", []string{"creating", "deleting"}, []string{"error", "error_deleting"}},
	{"group", "SELECT id, status, error FROM blockstorage_groups", []string{"creating", "deleting"}, []string{"error", "error_deleting"}},
	{"group snapshot", "SELECT id, status, error FROM blockstorage_group_snapshots", []string{"creating", "deleting"}, []string{"error", "error_deleting"}},
}

// Checks are the conservation queries of block storage.
func (s *Service) Checks() []check.Check {
	list := []check.Query{
		{Code: ghostAttach, Kind: "attachment", SQL: `SELECT id, 'it is of volume ' || volume_id || ', which is not there', volume_id FROM blockstorage_attachments
			WHERE volume_id NOT IN (SELECT id FROM blockstorage_volumes)`},
		{Code: attachStatus, Kind: "volume", SQL: `SELECT v.id, 'it is available, and attached to server ' || a.server_id, a.server_id FROM blockstorage_volumes v
			JOIN blockstorage_attachments a ON a.volume_id = v.id AND a.status = 'attached' WHERE v.status = 'available'`},
		{Code: attachStatus, Kind: "volume", SQL: `SELECT v.id, 'it is ' || v.status || ', and there is no attachment of it', '' FROM blockstorage_volumes v
			WHERE v.status IN ('in-use', 'detaching') AND v.id NOT IN (SELECT volume_id FROM blockstorage_attachments)`},
		{Code: childless, Kind: "snapshot", SQL: `SELECT id, 'it is of volume ' || volume_id || ', which is not there', volume_id FROM blockstorage_snapshots
			WHERE volume_id NOT IN (SELECT id FROM blockstorage_volumes)`},
		{Code: childless, Kind: "backup", SQL: `SELECT id, 'it is a part of backup ' || parent_id || ', which is not there', parent_id FROM blockstorage_backups
			WHERE parent_id <> '' AND parent_id NOT IN (SELECT id FROM blockstorage_backups)`},
		{Code: childless, Kind: "volume", SQL: `SELECT id, 'it is in group ' || group_id || ', which is not there', group_id FROM blockstorage_volumes
			WHERE group_id <> '' AND group_id NOT IN (SELECT id FROM blockstorage_groups)`},
		{Code: childless, Kind: "snapshot", SQL: `SELECT id, 'it is in group snapshot ' || group_snapshot_id || ', which is not there', group_snapshot_id FROM blockstorage_snapshots
			WHERE group_snapshot_id <> '' AND group_snapshot_id NOT IN (SELECT id FROM blockstorage_group_snapshots)`},
		{Code: childless, Kind: "group snapshot", SQL: `SELECT id, 'it is of group ' || group_id || ', which is not there', group_id FROM blockstorage_group_snapshots
			WHERE group_id NOT IN (SELECT id FROM blockstorage_groups)`},
		{Code: homeless, Kind: "volume", SQL: `SELECT id, 'it is ' || status || ' and to be kept, and has no host', '' FROM blockstorage_volumes WHERE kept AND host = ''`},
		{Code: homeless, Kind: "volume", SQL: `SELECT id, 'it is ' || status || ', and no host is to keep it', '' FROM blockstorage_volumes WHERE NOT kept AND status IN ('available', 'in-use')`},
		{Code: homeless, Kind: "snapshot", SQL: `SELECT id, 'it is ' || status || ', and no host is to keep it', '' FROM blockstorage_snapshots WHERE (NOT kept OR host = '') AND status = 'available'`},
		{Code: orphan, Kind: "transfer", SQL: `SELECT id, 'it hands over volume ' || volume_id || ', which is not there', '' FROM blockstorage_transfers
			WHERE volume_id NOT IN (SELECT id FROM blockstorage_volumes)`},
		{Code: orphan, Kind: "volume", SQL: `SELECT id, 'it awaits a transfer that is not there', '' FROM blockstorage_volumes
			WHERE status = 'awaiting-transfer' AND id NOT IN (SELECT volume_id FROM blockstorage_transfers)`},
		{Code: orphan, Kind: "label", SQL: `SELECT object_id, kind || ' ' || name || ' is on nothing', '' FROM blockstorage_labels
			WHERE object_id NOT IN (SELECT id FROM blockstorage_volumes UNION SELECT id FROM blockstorage_snapshots UNION SELECT id FROM blockstorage_backups)`},
	}
	return []check.Check{
		check.Queries("volumes/rows", list...),
		{Name: "volumes/states", Codes: []check.Code{volumeSaga, sagaObject, noReason}, Rows: true, Run: checkStates},
		{Name: "volumes/hosts", Codes: []check.Code{ghostVolume, missingVolume, wrongSize}, Run: checkKept},
	}
}

// checkStates looks for what is in between without a saga, and the other way.
func checkStates(ctx context.Context, l *check.Look) error {
	there := map[string]bool{}
	for _, t := range things {
		if err := l.Each(ctx, t.rows, func(scan func(...any) error) error {
			var id, status, reason string
			if err := scan(&id, &status, &reason); err != nil {
				return err
			}
			there[id] = true
			at := check.Of(t.kind, id)
			if slices.Contains(t.busy, status) && len(l.SagasOf(id)) == 0 {
				l.Report(volumeSaga, at, "it is %s, and no saga has it", status)
			}
			if slices.Contains(t.failed, status) && reason == "" {
				l.Report(noReason, at, "it is %s, and no reason is kept", status)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for _, g := range l.Sagas {
		if strings.HasPrefix(g.Op, "blockstorage.") && !there[g.Object] {
			l.Report(sagaObject, check.Of("saga", g.ID), "%s works on %s, which is not there", g.Op, g.Object)
		}
	}
	return nil
}

// keep is what a host shall keep.
type keep struct {
	kind, status string
	gib          int64
	exact        bool // as large as its row says; a copy may be smaller
}

// checkKept compares what hosts keep with rows.
func checkKept(ctx context.Context, l *check.Look) error {
	want, err := kept(ctx, l)
	if err != nil {
		return err
	}
	for _, h := range l.Hosts {
		have, ok := h.Has(check.Volumes)
		if !ok {
			continue
		}
		for id, o := range have {
			k, wanted := want[h.Name][id]
			if !wanted {
				l.Report(ghostVolume, check.Of("volume", id), "host %s keeps it; no row gives it to that host", h.Name)
				continue
			}
			var f disk.Facts
			if len(o.Facts) > 0 {
				if err := json.Unmarshal(o.Facts, &f); err != nil {
					return err
				}
			}
			if k.exact && f.SizeBytes < k.gib*blockstorage.GiB {
				l.Report(wrongSize, check.Of(k.kind, id), "its row says %d GiB; on host %s it has %d bytes", k.gib, h.Name, f.SizeBytes)
			}
		}
		for id, k := range want[h.Name] {
			if _, there := have[id]; !there && !strings.HasPrefix(k.status, "error") {
				l.Report(missingVolume, check.Of(k.kind, id), "it is %s; host %s, which shall keep it, does not have it", k.status, h.Name)
			}
		}
	}
	return nil
}

// kept is what hosts shall keep, by host and id.
func kept(ctx context.Context, l *check.Look) (map[string]map[string]keep, error) {
	out := map[string]map[string]keep{}
	err := l.Each(ctx, `SELECT id, host, 'volume', status, size FROM blockstorage_volumes WHERE kept
		UNION ALL SELECT id, move_to, 'volume', status, size FROM blockstorage_volumes WHERE kept AND move_to <> ''
		UNION ALL SELECT id, host, 'snapshot', status, size FROM blockstorage_snapshots WHERE kept
		UNION ALL SELECT id, host, 'backup', status, size FROM blockstorage_backups WHERE kept
		UNION ALL SELECT id, host, 'unmanaged ' || kind, 'kept', size FROM blockstorage_relics`, func(scan func(...any) error) error {
		var id, host string
		var k keep
		if err := scan(&id, &host, &k.kind, &k.status, &k.gib); err != nil {
			return err
		}
		if k.exact = k.kind == "volume"; out[host] == nil {
			out[host] = map[string]keep{}
		}
		out[host][id] = k
		return nil
	})
	return out, err
}

// ServerVolume is an attachment to a server.
type ServerVolume struct{ ID, Volume, Server, Status string }

// ServerVolumes lists the attachments to servers, for checks across services.
func (s *Service) ServerVolumes(ctx context.Context, l *check.Look) ([]ServerVolume, error) {
	var out []ServerVolume
	err := l.Each(ctx, "SELECT id, volume_id, server_id, status FROM blockstorage_attachments WHERE server_id <> ''", func(scan func(...any) error) error {
		var v ServerVolume
		if err := scan(&v.ID, &v.Volume, &v.Server, &v.Status); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	})
	return out, db.Translate(err, "read attachments")
}
