package testcloud_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/report"
)

// The database's disk is full, for real: new work is refused with 503 in the
// service's envelope, reads, logins and deletes go on to their end, and when there
// is room again new work is taken by itself (F7).
func TestAFullDiskOfTheDatabase(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a small file system")
	}
	c := testcloud.New(t)
	if c.DB.Engine() != db.SQLite {
		t.Skip("PostgreSQL's disk is its own")
	}
	run := report.Start(t, "F7", 0)
	const mib = 1 << 20
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(dir, "mek.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Ballast(t.Context(), 8*mib); err != nil {
		t.Fatal(err)
	}
	c = c.Again(d)
	_, server := shop(t, c)
	id, disk := server(c, "before"), volume(c)

	var room unix.Statfs_t
	if err := unix.Statfs(dir, &room); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, int64(room.Bavail)*room.Bsize), 0o600); err != nil && !errors.Is(err, unix.ENOSPC) { // its log may have grown meanwhile
		t.Fatal(err)
	}
	create := func(n int) *testcloud.Answer {
		run.Operations(1)
		return c.Demo.Do("POST", "/volume/v3/volumes", object{"volume": object{"size": 1, "name": fmt.Sprint(n)}})
	}
	refused := false
	for n := 0; n < 3000 && !refused; n++ { // the log has room of its own before it must grow
		a := create(n)
		if refused = a.Status == http.StatusServiceUnavailable; !refused && a.Status != http.StatusAccepted && a.Status != http.StatusRequestEntityTooLarge {
			t.Fatalf("on a full disk: %d %s", a.Status, a.Body)
		}
		if a.Status == http.StatusRequestEntityTooLarge { // quota: deletes make log as well
			c.Demo.Do("PUT", "/volume/v3/volumes/"+disk, object{"volume": object{"description": fmt.Sprint(n)}})
		}
	}
	if !refused || !d.Full() {
		t.Fatal("new work was never refused")
	}
	run.Fault("disk full", 1)
	if c.Metric("mek_database_full") != 1 || c.Metric("mek_database_refusals_total") == 0 {
		t.Error("I-42: no metric tells of a full disk")
	}
	if got := create(0).Expect(http.StatusServiceUnavailable); got.String("serviceUnavailable.message") == "" {
		t.Errorf("not in the service's envelope: %s", got.Body)
	}
	c.Login("demo", testcloud.DemoPassword, "demo")
	c.Demo.Get("/volume/v3/volumes/" + disk).Expect(http.StatusOK)
	c.Demo.Do("DELETE", "/volume/v3/volumes/"+disk, nil).Expect(http.StatusAccepted)
	c.Demo.Do("DELETE", "/compute/v2.1/servers/"+id, nil).Expect(http.StatusNoContent)
	c.RunTasks()
	c.Demo.Get("/volume/v3/volumes/" + disk).Expect(http.StatusNotFound)
	c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusNotFound)

	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "new work", func() bool { return !d.Full() })
	volume(c)
	if err := d.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
