package volumeapi_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/archive"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func TestVolumeRewriteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.rewrite", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withSnapshot()
		both := fmt.Sprintf("map[%s:1 %s:1]", vol, snap)
		return b.world(func(context.Context) error {
			return b.must("POST", "volumes/"+vol+"/action", m{"revert": m{"snapshot_id": snap}})
		}, func() {
			b.expect(blockstorage.Available, 1, both)
			if v := b.volume(); v.Epoch == 0 || v.Rewrite != (blockstorage.Source{}) || b.snapshots() != "[available]" {
				t.Errorf("volume %+v, snapshots %s", v, b.snapshots())
			}
		}, func() {
			b.expect(blockstorage.Error, 1, both)
			if v := b.volume(); v.Epoch != 0 || v.Rewrite != (blockstorage.Source{}) || v.Error == "" || b.snapshots() != "[available]" {
				t.Errorf("volume %+v, snapshots %s", v, b.snapshots())
			}
		})
	}})
}

func TestVolumeMigrateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.migrate", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.far = b.host("far")
		return b.world(func(context.Context) error {
			return b.must("POST", "volumes/"+vol+"/action", m{"os-migrate_volume": m{"host": "far@mek#mek", "lock_volume": true}})
		}, func() {
			b.expect(blockstorage.Available, 1, "map[]")
			if v := b.volume(); v.Host != "far" || v.MoveTo != "" || v.Migration != "success" || fmt.Sprint(b.keptOn("far", b.far)) != one(1) {
				t.Errorf("volume %+v, far keeps %v", v, b.keptOn("far", b.far))
			}
		}, func() {
			b.expect(blockstorage.Available, 1, one(1))
			if v := b.volume(); v.Host != "h" || v.MoveTo != "" || v.Migration != "error" || len(b.keptOn("far", b.far)) != 0 {
				t.Errorf("volume %+v, far keeps %v", v, b.keptOn("far", b.far))
			}
		})
	}})
}

// exec changes rows before there is a server.
func (b *bench) exec(query string, args ...any) {
	b.t.Helper()
	ctx := context.Background()
	if err := b.db.Write(ctx, func(tx *db.Tx) error { _, err := tx.ExecContext(ctx, query, args...); return err }); err != nil {
		b.t.Fatal(err)
	}
}

const saved = "33333333-3333-4333-8333-333333333333"

// attach lets a server have the volume.
func (b *bench) attach() {
	b.exec(`INSERT INTO blockstorage_attachments (id, volume_id, project_id, server_id, host, device, status, mode, connector, connected, attached_at, created_at, updated_at)
		VALUES ('a', $1, 'p', 's', 'h', '/dev/vdb', 'attached', 'rw', '{}', $2, 1, 1, 0)`, vol, true)
	b.exec("UPDATE blockstorage_volumes SET status = 'in-use'")
}

// backups lists the statuses of all backups, and of their fields one.
func (b *bench) backups(field string) string {
	_, out := b.do("GET", "backups/detail", nil)
	var all []any
	for _, s := range out["backups"].([]any) {
		all = append(all, s.(m)["status"], s.(m)[field])
	}
	return fmt.Sprint(all)
}

// pieces tells whether the store has a whole backup.
func (b *bench) pieces(location string) bool {
	_, err := archive.Load(context.Background(), b.archive, archive.Place{Container: "volumebackups", Backup: location})
	return err == nil
}

func TestBackupCreateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.backup.create", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.attach() // so that a passing copy is made
		id := func() string {
			_, out := b.do("GET", "backups", nil)
			return out["backups"].([]any)[0].(m)["id"].(string)
		}
		return b.world(func(context.Context) error {
			return b.must("POST", "backups", m{"backup": m{"volume_id": vol, "force": true}})
		}, func() {
			b.expect(blockstorage.InUse, 1, one(1))
			if got := b.backups("object_count"); got != "[available 0]" || !b.pieces(id()) {
				t.Errorf("backups %s, pieces %v", got, b.pieces(id()))
			}
		}, func() {
			b.expect(blockstorage.InUse, 1, one(1))
			if got := b.backups("object_count"); got != "[error 0]" || b.pieces(id()) {
				t.Errorf("backups %s, pieces %v", got, b.pieces(id()))
			}
		})
	}})
}

// withBackup adds a backup that is taken.
func (b *bench) withBackup(rows int) {
	b.t.Helper()
	_, err := archive.Write(context.Background(), b.archive, archive.Place{Container: "volumebackups", Backup: saved}, io.LimitReader(zeros{}, blockstorage.GiB), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range rows {
		id := saved
		if i > 0 {
			id = fmt.Sprintf("33333333-3333-4333-8333-33333333333%d", 3+i)
		}
		b.exec(`INSERT INTO blockstorage_backups (id, project_id, user_id, name, no_name, description, no_description, volume_id, snapshot_id, parent_id, size, status,
			container, location, service, object_count, zone, host, guest, kept, copied, metadata, volume_facts, restoring, error, data_at, created_at, updated_at)
			VALUES ($1, 'p', 'u', 'n', $2, '', $3, $4, '', '', 1, 'available', 'volumebackups', $5, 'x', 0, 'nova', 'h', '', $2, $2, '{}', '{}', '', '', 1, 1, 0)`,
			id, false, true, vol, saved)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBackupDeleteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.backup.delete", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withBackup(1)
		gone := func() {
			if got := b.backups("id"); got != "[]" || b.pieces(saved) {
				t.Errorf("backups %s, pieces %v", got, b.pieces(saved))
			}
		}
		return b.world(func(context.Context) error { return b.must("DELETE", "backups/"+saved, nil) }, gone, func() {
			if got := b.backups("id"); got != "[error_deleting "+saved+"]" {
				t.Errorf("backups %s", got)
			}
			b.open(tasktest.Options(b.db, nil))
			if err := b.must("DELETE", "backups/"+saved, nil); err != nil {
				t.Error(err)
			}
			b.settle()
			gone()
		})
	}})
}

func TestBackupImportSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.backup.import", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withBackup(1)
		return b.world(func(context.Context) error {
			_, out := b.do("GET", "backups/"+saved+"/export_record", nil)
			record := out["backup-record"].(m)
			b.exec("DELETE FROM blockstorage_backups")
			record["backup_service"] = b.archive.Name()
			if code, out := b.do("POST", "backups/import_record", m{"backup-record": record}); code != 201 {
				return fmt.Errorf("%d %v", code, out)
			}
			return nil
		}, func() {
			if got := b.backups("id"); got != "[available "+saved+"]" {
				t.Errorf("backups %s", got)
			}
		}, func() {
			if got := b.backups("id"); got != "[error "+saved+"]" || !b.pieces(saved) {
				t.Errorf("backups %s: what was there must stay", got)
			}
		})
	}})
}

const team, teamSnap = "44444444-4444-4444-8444-444444444444", "55555555-5555-4555-8555-555555555555"

// withGroup makes the volume the one member of a group.
func (b *bench) withGroup(consistent bool) {
	specs := "{}"
	if consistent {
		specs = `{"consistent_group_snapshot_enabled":"<is> True"}`
	}
	b.exec("INSERT INTO blockstorage_group_types (id, name, description, no_description, is_public, specs, created_at) VALUES ('gt', 'gt', '', $1, $1, $2, 1)", true, specs)
	b.exec(`INSERT INTO blockstorage_groups (id, project_id, user_id, name, no_name, description, no_description, type_id, volume_types, zone, status, from_group,
		from_snapshot, error, created_at, updated_at) VALUES ($1, 'p', 'u', 'g', $2, '', $3, 'gt', '[]', 'nova', 'available', '', '', '', 1, 0)`, team, false, true)
	b.exec("UPDATE blockstorage_volumes SET group_id = $1", team)
}

// statuses lists names and statuses of groups or group snapshots.
func (b *bench) statuses(many string) string {
	_, out := b.do("GET", many+"/detail", nil)
	var all []any
	for _, s := range out[many].([]any) {
		all = append(all, s.(m)["name"], s.(m)["status"])
	}
	return fmt.Sprint(all)
}

func TestGroupCreateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.group.create", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withGroup(false)
		return b.world(func(context.Context) error {
			return b.must("POST", "groups/action", m{"create-from-src": m{"source_group_id": team, "name": "copy"}})
		}, func() {
			if got := b.statuses("groups"); got != "[copy available g available]" || len(b.kept()) != 2 {
				t.Errorf("groups %s, the host keeps %v", got, b.kept())
			}
		}, func() {
			if got := b.statuses("groups"); got != "[copy error g available]" {
				t.Errorf("groups %s", got)
			}
		})
	}})
}

func TestGroupDeleteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.group.delete", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withGroup(false)
		drop := func(context.Context) error {
			return b.must("POST", "groups/"+team+"/action", m{"delete": m{"delete-volumes": true}})
		}
		gone := func() {
			b.expect("", 0, "map[]")
			if got := b.statuses("groups"); got != "[]" {
				t.Errorf("groups %s", got)
			}
		}
		return b.world(drop, gone, func() {
			if got := b.statuses("groups"); got != "[g error_deleting]" {
				t.Errorf("groups %s", got)
			}
			b.open(tasktest.Options(b.db, nil))
			if err := drop(context.Background()); err != nil {
				t.Error(err)
			}
			b.settle()
			gone()
		})
	}})
}

func TestGroupSnapshotCreateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.group_snapshot.create", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withGroup(true)
		return b.world(func(context.Context) error {
			err := b.must("POST", "group_snapshots", m{"group_snapshot": m{"group_id": team, "name": "s"}})
			if v := b.volume(); err == nil && v.Status != blockstorage.Maintenance && v.Status != blockstorage.Available {
				t.Errorf("while a consistent snapshot is taken its volume is %s", v.Status)
			}
			return err
		}, func() {
			b.expect(blockstorage.Available, 1, fmt.Sprint(b.kept()))
			if got := b.statuses("group_snapshots"); got != "[s available]" || b.snapshots() != "[available]" || len(b.kept()) != 2 {
				t.Errorf("group snapshots %s of %s, the host keeps %v", got, b.snapshots(), b.kept())
			}
		}, func() {
			b.expect(blockstorage.Available, 1, fmt.Sprint(b.kept()))
			if got := b.statuses("group_snapshots"); got != "[s error]" {
				t.Errorf("group snapshots %s", got)
			}
		})
	}})
}

func TestGroupSnapshotDeleteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.group_snapshot.delete", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withGroup(false)
		b.withSnapshot()
		b.exec(`INSERT INTO blockstorage_group_snapshots (id, project_id, user_id, group_id, type_id, name, no_name, description, no_description, status, error, created_at, updated_at)
			VALUES ($1, 'p', 'u', $2, 'gt', 's', $3, '', $4, 'available', '', 1, 0)`, teamSnap, team, false, true)
		b.exec("UPDATE blockstorage_snapshots SET group_snapshot_id = $1", teamSnap)
		drop := func(context.Context) error { return b.must("DELETE", "group_snapshots/"+teamSnap, nil) }
		gone := func() {
			b.expect(blockstorage.Available, 1, one(1))
			if got := b.statuses("group_snapshots"); got != "[]" || b.snapshots() != "[]" {
				t.Errorf("group snapshots %s of %s", got, b.snapshots())
			}
		}
		return b.world(drop, gone, func() {
			if got := b.statuses("group_snapshots"); got != "[s error_deleting]" {
				t.Errorf("group snapshots %s", got)
			}
			b.open(tasktest.Options(b.db, nil))
			if err := drop(context.Background()); err != nil {
				t.Error(err)
			}
			b.settle()
			gone()
		})
	}})
}

// A volume whose bytes are lost is in error, or stays in use and says so, once; when
// it is given back it is in error as well.
func TestLostVolumesSaySo(t *testing.T) {
	for name, status := range map[string]blockstorage.VolumeStatus{"available": blockstorage.Error, "in use": blockstorage.InUse} {
		t.Run(name, func(t *testing.T) {
			b := newBenchWithVolume(t)
			if status == blockstorage.InUse {
				b.attach()
			}
			b.open(task.Options{DB: b.db, Clock: clock.Real{}, Owner: "test"})
			lost := hostlink.Report{Host: "h", Section: hostlink.Volumes, Objects: []hostlink.ObjectReport{{ID: vol, Phase: hostlink.Failed, Kept: hostlink.KeptLost}}}
			for range 2 {
				if err := b.service.Volumes.Observe(t.Context(), lost); err != nil {
					t.Fatal(err)
				}
			}
			if v := b.volume(); v.Status != status || !strings.Contains(v.Error, "not on its host") {
				t.Errorf("it is %s: %q", v.Status, v.Error)
			}
			if _, out := b.do("GET", "messages?resource_uuid="+vol, nil); len(out["messages"].([]any)) != 1 {
				t.Errorf("messages: %v", out)
			}
			if status != blockstorage.InUse {
				return
			}
			b.exec("DELETE FROM blockstorage_attachments")
			b.exec("UPDATE blockstorage_volumes SET status = 'available'")
			if err := b.service.Volumes.Observe(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
			if v := b.volume(); v.Status != blockstorage.Error {
				t.Errorf("given back it is %s", v.Status)
			}
		})
	}
}

// A volume that was lost is what it was once its host has its disk again, without
// anybody's help; another host's word does not count.
func TestLostVolumesComeBack(t *testing.T) {
	for name, status := range map[string]blockstorage.VolumeStatus{"available": blockstorage.Available, "in use": blockstorage.InUse, "in use, then in error": blockstorage.InUse} {
		t.Run(name, func(t *testing.T) {
			b := newBenchWithVolume(t)
			if status == blockstorage.InUse {
				b.attach()
			}
			b.open(task.Options{DB: b.db, Clock: clock.Real{}, Owner: "test"})
			tell := func(host string, o hostlink.ObjectReport) {
				t.Helper()
				o.ID = vol
				if err := b.service.Volumes.Observe(t.Context(), hostlink.Report{Host: host, Section: hostlink.Volumes, Objects: []hostlink.ObjectReport{o}}); err != nil {
					t.Fatal(err)
				}
			}
			tell("h", hostlink.ObjectReport{Phase: hostlink.Failed, Kept: hostlink.KeptLost})
			if strings.HasSuffix(name, "error") {
				b.exec("UPDATE blockstorage_volumes SET status = 'error'")
			}
			tell("other", hostlink.ObjectReport{Phase: hostlink.Ready})
			if v := b.volume(); v.Error == "" {
				t.Errorf("a host that has nothing to say of it brought it back: %s", v.Status)
			}
			for range 2 {
				tell("h", hostlink.ObjectReport{Phase: hostlink.Ready})
				if v := b.volume(); v.Status != status || v.Error != "" {
					t.Errorf("with its disk it is %s: %q", v.Status, v.Error)
				}
			}
			b.exec("UPDATE blockstorage_volumes SET status = 'error', error = 'something else'")
			tell("h", hostlink.ObjectReport{Phase: hostlink.Ready})
			if v := b.volume(); v.Status != blockstorage.Error {
				t.Errorf("another error was taken back: %s", v.Status)
			}
		})
	}
}
