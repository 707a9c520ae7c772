package testcloud_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/await"
)

// shop makes what servers are made of and answers how to make one.
func shop(t *testing.T, c *testcloud.Cloud) (image string, server func(c *testcloud.Cloud, name string) string) {
	c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "f", "ram": 256, "vcpus": 1, "disk": 1, "id": "f1"}}).Expect(http.StatusOK)
	image = c.Demo.Do("POST", "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare"}).Expect(http.StatusCreated).String("id")
	c.Demo.Do("PUT", "/image/v2/images/"+image+"/file", make([]byte, 1<<16), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	network := c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	c.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}}).Expect(http.StatusCreated)
	return image, func(c *testcloud.Cloud, name string) string {
		t.Helper()
		id := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": name, "flavorRef": "f1", "imageRef": image,
			"networks": []any{object{"uuid": network}}}}).Expect(http.StatusAccepted).String("server.id")
		c.RunTasks()
		if got := status(c, id); got != "ACTIVE" {
			t.Fatalf("%s is %s", name, got)
		}
		return id
	}
}

func status(c *testcloud.Cloud, id string) string {
	return c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK).String("server.status")
}

func volume(c *testcloud.Cloud) string {
	id := c.Demo.Do("POST", "/volume/v3/volumes", object{"volume": object{"size": 1}}).Expect(http.StatusAccepted).String("volume.id")
	c.RunTasks()
	return id
}

// restored is a copy of a cloud's database, in a new epoch.
func restored(t *testing.T, file string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), "sqlite://"+file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := hoststate.BeginEpoch(t.Context(), tx, 0, clock.Real{}.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// kept is what hosts keep, "kind section object" in a set.
func kept(c *testcloud.Cloud) map[string]bool {
	out := map[string]bool{}
	for _, k := range c.Admin.Get("/recovery/kept").Expect(http.StatusOK).List("kept") {
		k := k.(object)
		out[k["kind"].(string)+" "+k["section"].(string)+" "+k["object"].(string)] = true
	}
	return out
}

// On simulated hosts: the database goes back to a backup while hosts are ahead of
// it. What it does not know is kept, switched off and listed; what it knows goes
// on; nothing that would lose data is done; deletes work as before.
func TestARestoredDatabaseDestroysNothing(t *testing.T) {
	c := testcloud.New(t)
	image, server := shop(t, c)
	stays, deleted, rebuilt := server(c, "stays"), server(c, "deleted"), server(c, "rebuilt")
	before, gone := volume(c), volume(c)
	file := filepath.Join(t.TempDir(), "mek.db")
	if c.DB.Engine() != db.SQLite {
		t.Skip("the copy is of SQLite; the rest does not ask the engine")
	}
	if err := c.DB.CopyTo(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	unknown, after := server(c, "unknown"), volume(c)
	c.Demo.Do("DELETE", "/compute/v2.1/servers/"+deleted, nil).Expect(http.StatusNoContent)
	c.Demo.Do("POST", "/compute/v2.1/servers/"+rebuilt+"/action", object{"rebuild": object{"imageRef": image}}).Expect(http.StatusAccepted)
	c.Demo.Do("DELETE", "/volume/v3/volumes/"+gone, nil).Expect(http.StatusAccepted)
	c.RunTasks()
	for range 3 { // the hosts' revisions run ahead of the backup's
		server(c, "more")
	}
	host := c.Admin.Get("/compute/v2.1/servers/" + stays).String("server.OS-EXT-SRV-ATTR:host")

	c = c.Again(restored(t, file))
	await.That(t, "unknown guest in quarantine", func() bool { return kept(c)["unknown guests "+unknown] })
	await.That(t, "unknown volume in quarantine", func() bool { return kept(c)["unknown volumes "+after] })
	await.That(t, "lost server in ERROR", func() bool { return status(c, deleted) == "ERROR" })
	await.That(t, "diverged server in ERROR", func() bool { return status(c, rebuilt) == "ERROR" })
	await.That(t, "lost volume in error", func() bool {
		return c.Demo.Get("/volume/v3/volumes/"+gone).Expect(http.StatusOK).String("volume.status") == "error"
	})
	if report := c.Admin.Get("/checks").Expect(http.StatusOK); strings.Contains(string(report.Body), `"I-22/volume-error"`) {
		t.Errorf("the lost volume does not say why: %s", report.Body)
	}
	if got := c.Demo.Get("/compute/v2.1/servers/" + deleted).String("server.fault.message"); !strings.Contains(got, "backup") {
		t.Errorf("the lost server's fault is %q", got)
	}
	c.Demo.Get("/compute/v2.1/servers/" + unknown).Expect(http.StatusNotFound)
	if got := status(c, stays); got != "ACTIVE" {
		t.Errorf("the server that both know is %s", got)
	}
	report := func(section hostlink.Section, id string) hostlink.ObjectReport {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		o, err := c.Hub.Await(ctx, host, section, 0, id)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	await.That(t, "unknown guest off", func() bool {
		o := report(hostlink.Guests, unknown)
		return o.Phase == hostlink.Quarantined && strings.Contains(string(o.Facts), `"power":"stopped"`)
	})

	server(c, "new") // under revisions that the host has seen before
	third := volume(c)
	c.Demo.Do("DELETE", "/volume/v3/volumes/"+third, nil).Expect(http.StatusAccepted)
	c.Demo.Do("DELETE", "/compute/v2.1/servers/"+stays, nil).Expect(http.StatusNoContent)
	c.Demo.Do("DELETE", "/compute/v2.1/servers/"+rebuilt, nil).Expect(http.StatusNoContent)
	c.RunTasks()
	for _, id := range []string{stays, rebuilt} {
		if o := report(hostlink.Guests, id); o.Phase != hostlink.Absent {
			t.Errorf("deleted server %s is %s on its host", id, o.Phase)
		}
	}
	if o := report(hostlink.Volumes, before); o.Phase != hostlink.Ready {
		t.Errorf("the volume of before the backup is %s", o.Phase)
	}
	c.Demo.Do("POST", "/compute/v2.1/servers/"+deleted+"/action", object{"rebuild": object{"imageRef": image}}).Expect(http.StatusAccepted)
	c.RunTasks()
	if got := status(c, deleted); got != "ACTIVE" {
		t.Errorf("the lost server, rebuilt, is %s", got)
	}
	release(t, c, host, unknown, after, report)
	for k := range kept(c) { // what is left to find are the servers that were made to get ahead, and ports
		words := strings.Fields(k)
		c.Admin.Do("POST", "/recovery/kept/release", object{"host": host, "section": words[1], "object": words[2]}).Expect(http.StatusOK)
	}
	await.That(t, "an empty list", func() bool { return len(kept(c)) == 0 })
}

func release(t *testing.T, c *testcloud.Cloud, host, unknown, after string, report func(hostlink.Section, string) hostlink.ObjectReport) {
	t.Helper()
	const path = "/recovery/kept/release"
	c.Demo.Do("POST", path, object{"host": host, "section": "guests", "object": unknown}).Expect(http.StatusUnauthorized)
	c.Admin.Do("POST", path, object{"host": host, "section": "guests", "object": after}).Expect(http.StatusNotFound)
	c.Admin.Do("POST", path, object{"host": host, "section": "guests", "object": unknown}).Expect(http.StatusOK)
	c.Admin.Do("POST", path, object{"host": host, "section": "volumes", "object": after}).Expect(http.StatusOK)
	await.That(t, "released guest gone", func() bool { return report(hostlink.Guests, unknown).Phase == hostlink.Absent })
	await.That(t, "released volume gone", func() bool { return report(hostlink.Volumes, after).Phase == hostlink.Absent })
	await.That(t, "nothing of them listed", func() bool {
		list := kept(c)
		return !list["unknown guests "+unknown] && !list["unknown volumes "+after]
	})
}

// A newer backup knows what an older one did not: hosts take it back from
// quarantine, with its disks.
func TestANewerBackupEndsQuarantine(t *testing.T) {
	c := testcloud.New(t)
	if c.DB.Engine() != db.SQLite {
		t.Skip("the copy is of SQLite; the rest does not ask the engine")
	}
	_, server := shop(t, c)
	dir := t.TempDir()
	older, newer := filepath.Join(dir, "older"), filepath.Join(dir, "newer")
	if err := c.DB.CopyTo(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	id := server(c, "between")
	if err := c.DB.CopyTo(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	c = c.Again(restored(t, older))
	await.That(t, "quarantine", func() bool { return kept(c)["unknown guests "+id] })
	c = c.Again(restored(t, newer))
	await.That(t, "the end of quarantine", func() bool { return len(kept(c)) == 0 && status(c, id) == "ACTIVE" })
}

// A database put back by hand, without "mek backup restore": hosts prove that it
// went back in time, and the server begins an epoch by itself.
func TestTheServerNoticesThatItsDatabaseWentBack(t *testing.T) {
	c := testcloud.New(t)
	if c.DB.Engine() != db.SQLite {
		t.Skip("the copy is of SQLite; the rest does not ask the engine")
	}
	_, server := shop(t, c)
	file := filepath.Join(t.TempDir(), "mek.db")
	if err := c.DB.CopyTo(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	id := server(c, "unknown")
	old, err := db.Open(t.Context(), "sqlite://"+file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Close() })
	c = c.Again(old)
	await.That(t, "quarantine", func() bool { return kept(c)["unknown guests "+id] })
	server(c, "new")
	if report := c.Admin.Get("/checks").Expect(http.StatusOK); !strings.Contains(string(report.Body), `"I-38/quarantined"`) {
		t.Errorf("doctor does not list what is in quarantine: %s", report.Body)
	}
	c.Breaks() // the guest stays where it is
}
