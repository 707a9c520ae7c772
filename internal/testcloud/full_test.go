package testcloud_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/await"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/smalldisk"
)

// The database's disk is full, for real: new work is refused with 503 in the
// service's envelope, reads, logins and deletes go on to their end, and when there
// is room again new work is taken by itself (F7).
func TestAFullDiskOfTheDatabase(t *testing.T) {
	c := testcloud.New(t)
	if c.DB.Engine() != db.SQLite {
		t.Skip("PostgreSQL's disk is its own")
	}
	run := report.Start(t, "F7", 0)
	const mib = 1 << 20
	dir := smalldisk.Dir(t, "64m")
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
	await.That(t, "new work", func() bool { return !d.Full() })
	volume(c)
	if err := d.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// The disk of PostgreSQL is full, for real. It refuses changes, or it ends and is
// started again by whoever watches over it; meanwhile every answer is the
// service's, none is 500, and what was acknowledged is there afterwards (F7).
func TestAFullDiskOfPostgreSQL(t *testing.T) {
	c := testcloud.New(t)
	if c.DB.Engine() != db.SQLite {
		t.Skip("the database under test is one of its own: once is enough")
	}
	run := report.Start(t, "F7", 0)
	server := dbtest.NewServerOn(t, func(dir string) error {
		return smalldisk.Mount(t, dir, "256m")
	})
	d, err := db.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	c = c.Again(d)
	shop(t, c)
	disk := volume(c)
	filler := filepath.Join(server.Dir(), "filler")
	var room unix.Statfs_t
	if err := unix.Statfs(server.Dir(), &room); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filler, make([]byte, int64(room.Bavail)*room.Bsize-1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	last, refused, reads := "", 0, map[int]int{}
	for n := 0; n < 20000 && refused < 20; n++ {
		text := fmt.Sprint(n, strings.Repeat(" on a full disk", 15))
		run.Operations(1)
		switch a := c.Demo.Do("PUT", "/volume/v3/volumes/"+disk, object{"volume": object{"description": text}}); a.Status {
		case http.StatusOK:
			last = text
		case http.StatusServiceUnavailable:
			if refused++; a.String("serviceUnavailable.message") == "" && !strings.Contains(string(a.Body), "503") {
				t.Errorf("not in the service's envelope: %s", a.Body)
			}
		default:
			t.Fatalf("on a full disk: %d %s", a.Status, a.Body)
		}
		if refused > 0 {
			reads[c.Demo.Get("/volume/v3/volumes/"+disk).Status]++
		}
	}
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	run.Fault("disk of PostgreSQL full", 1)
	for status := range reads {
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			run.Violation("reads are answered with %v", reads)
		}
	}
	t.Logf("refused %d; reads meanwhile: %v; PostgreSQL has ended: %v", refused, reads, server.Ended())
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	await.That(t, "reads", func() bool {
		if server.Ended() { // it may take a while to give up
			server.Restart()
		}
		return c.Demo.Get("/volume/v3/volumes/"+disk).Status == http.StatusOK
	})
	// An answer that was lost with the server may stand for a change that happened; none that was given may be gone.
	if got := c.Demo.Get("/volume/v3/volumes/" + disk).String("volume.description"); number(got) < number(last) {
		run.Violation("I-18: the last change that was acknowledged is %q, and %q is there", last, got)
	}
	await.That(t, "new work", func() bool {
		return c.Demo.Do("PUT", "/volume/v3/volumes/"+disk, object{"volume": object{"description": "after"}}).Status == http.StatusOK
	})
	volume(c)
	c.Demo.Do("DELETE", "/volume/v3/volumes/"+disk, nil).Expect(http.StatusAccepted)
	c.RunTasks()
	c.Demo.Get("/volume/v3/volumes/" + disk).Expect(http.StatusNotFound)
}

func number(text string) (n int) {
	_, _ = fmt.Sscanf(text, "%d", &n) // none: 0
	return n
}
