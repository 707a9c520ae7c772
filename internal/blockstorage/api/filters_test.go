package volumeapi_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestFiltersThatListsLack: ignored before 3.31, refused from then on, but for
// administrators; "name~" is of 3.34.
func TestFiltersThatListsLack(t *testing.T) {
	c := testcloud.New(t)
	get := func(who *testcloud.Client, path, version string, status int) {
		t.Helper()
		who.Get("/volume/v3/"+path, "OpenStack-API-Version", "volume "+version).Expect(status)
	}
	for _, list := range []string{"volumes", "volumes/detail", "snapshots/detail", "backups", "groups", "group_snapshots", "attachments", "messages", "types"} {
		get(c.Demo, list+"?colour=red", "3.31", 400)
		get(c.Admin, list+"?colour=red", "3.31", 200)
		get(c.Demo, list+"?all_tenants=1&limit=1&sort_key=id", "3.31", 200)
	}
	get(c.Demo, "volumes?colour=red", "3.30", 200)
	get(c.Demo, "volumes?name=x&status=y", "3.31", 200)
	get(c.Demo, "volumes?name~=x", "3.33", 400)
	get(c.Demo, "volumes?name~=x", "3.34", 200)
	get(c.Demo, "volumes?with_count=1", "3.44", 400)
	get(c.Demo, "volumes?with_count=1", "3.45", 200)
	get(c.Demo, "groups?list_volume=1", "3.31", 200)
	get(c.Admin, "scheduler-stats/get_pools?detail=1&name=x", "3.31", 200)
	get(c.Admin, "scheduler-stats/get_pools?colour=red", "3.31", 400)
}
