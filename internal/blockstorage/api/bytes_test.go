package volumeapi_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/files"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

// filesBench is a bench whose one host, "files", keeps volumes as files.
type filesBench struct {
	*bench
	files *files.Driver
}

func newFilesBench(t *testing.T) *filesBench {
	b := &filesBench{bench: newBench(t)}
	b.agents = nil // the simulated host stays out
	b.open(tasktest.Options(b.db, nil))
	b.hub.HandleStream(disk.StreamRead, b.service.Volumes.Stream)
	b.files = filesHost(t, b.hub, "files")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	engine := b.engine
	go func() { done <- engine.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return b
}

// reaches polls until an object has a status.
func (b *filesBench) reaches(path, one, want string) m {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		code, out := b.do("GET", path, nil)
		if code == 200 && out[one].(m)["status"] == want {
			return out[one].(m)
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s: %d %v, want %s", path, code, out, want)
		}
	}
}

func (b *filesBench) post(path string, body any, status int) m {
	b.t.Helper()
	code, out := b.do("POST", path, body)
	if code != status {
		b.t.Fatalf("POST %s: %d %v", path, code, out)
	}
	return out
}

// write plays the guest: it changes bytes of a volume.
func (b *filesBench) write(id, text string) {
	b.t.Helper()
	at, err := b.files.Locate(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	f, err := os.OpenFile(at.Path, os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), 500<<20); err != nil {
		b.t.Fatal(err)
	}
}

func (b *filesBench) holds(id, text string) {
	b.t.Helper()
	r, facts, err := b.files.Open(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(text))
	if _, err := r.(io.ReaderAt).ReadAt(got, 500<<20); err != nil || string(got) != text || facts.SizeBytes < blockstorage.GiB {
		b.t.Errorf("%s holds %q of %d bytes, want %q: %v", id, got, facts.SizeBytes, text, err)
	}
}

func TestBytesSurviveBackupRestoreAndRevert(t *testing.T) {
	t.Parallel()
	b := newFilesBench(t)
	in := newVolume()
	in.Host = "files"
	if _, err := b.service.Volumes.Create(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	b.reaches("volumes/"+vol, "volume", "available")
	b.write(vol, "first")
	backup := func(body m) string {
		t.Helper()
		body["volume_id"] = vol
		id := b.post("backups", m{"backup": body}, 202)["backup"].(m)["id"].(string)
		if got := b.reaches("backups/"+id, "backup", "available"); got["object_count"] != 1.0 {
			t.Errorf("backup %v", got)
		}
		b.reaches("volumes/"+vol, "volume", "available")
		return id
	}
	full := backup(m{"name": "full"})
	b.write(vol, "second")
	next := backup(m{"incremental": true})
	if got := b.reaches("backups/"+next, "backup", "available"); got["is_incremental"] != true {
		t.Errorf("backup %v", got)
	}
	if code, out := b.do("DELETE", "backups/"+full, nil); code != 400 {
		t.Errorf("the parent of a backup is deleted: %d %v", code, out)
	}

	fresh := b.post("backups/"+full+"/restore", m{"restore": m{"name": "fresh"}}, 202)["restore"].(m)["volume_id"].(string)
	b.reaches("volumes/"+fresh, "volume", "available")
	b.holds(fresh, "first")
	b.reaches("backups/"+full, "backup", "available")
	b.post("backups/"+next+"/restore", m{"restore": m{"volume_id": fresh}}, 202)
	b.reaches("volumes/"+fresh, "volume", "available")
	b.holds(fresh, "second")

	snapshot := b.post("snapshots", m{"snapshot": m{"volume_id": vol}}, 202)["snapshot"].(m)["id"].(string)
	b.reaches("snapshots/"+snapshot, "snapshot", "available")
	b.write(vol, "spoiled")
	b.post("volumes/"+vol+"/action", m{"revert": m{"snapshot_id": full}}, 400)
	b.post("volumes/"+vol+"/action", m{"revert": m{"snapshot_id": snapshot}}, 202)
	b.reaches("volumes/"+vol, "volume", "available")
	b.holds(vol, "second")
	b.write(vol, "goes on")
	b.holds(vol, "goes on")

	fromSnap := b.post("backups", m{"backup": m{"volume_id": vol, "snapshot_id": snapshot}}, 202)["backup"].(m)["id"].(string)
	b.reaches("backups/"+fromSnap, "backup", "available")
	made := b.post("volumes", m{"volume": m{"backup_id": fromSnap, "size": 2}}, 202)["volume"].(m)["id"].(string)
	if got := b.reaches("volumes/"+made, "volume", "available"); got["size"] != 2.0 {
		t.Errorf("volume %v", got)
	}
	b.holds(made, "second")
	b.unmanageAndManage(made)
}

// unmanageAndManage forgets a volume and takes it back.
func (b *filesBench) unmanageAndManage(id string) {
	b.t.Helper()
	b.post("volumes/"+id+"/action", m{"os-unmanage": m{}}, 202)
	if code, _ := b.do("GET", "volumes/"+id, nil); code != 404 {
		b.t.Errorf("an unmanaged volume is shown: %d", code)
	}
	_, out := b.do("GET", "manageable_volumes/detail?host=files@mek%23mek", nil)
	offered := 0
	for _, one := range out["manageable-volumes"].([]any) {
		if one.(m)["safe_to_manage"] == true {
			offered++
		}
	}
	if offered != 1 {
		b.t.Errorf("offered: %v", out)
	}
	again := b.post("manageable_volumes", m{"volume": m{"host": "files@mek#mek", "ref": m{"source-name": "volume-" + id}, "name": "again"}}, 202)
	back := again["volume"].(m)["id"].(string)
	b.reaches("volumes/"+back, "volume", "available")
	b.holds(back, "second")
	_, revision, err := b.service.Render(context.Background(), "files")
	if err == nil {
		_, err = b.hub.Await(context.Background(), "files", "volumes", revision, "nothing")
	}
	if _, _, gone := b.files.Open(context.Background(), id); gone == nil || err != nil {
		b.t.Errorf("what was managed again is still there: %v", fmt.Sprint(gone, err))
	}
}
