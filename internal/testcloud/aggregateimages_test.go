package testcloud_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/testcloud"
)

// TestImagesOfAggregates brings an image to the hosts of an aggregate.
func TestImagesOfAggregates(t *testing.T) {
	c := testcloud.New(t, testcloud.Hosts(3))
	_, img := server(t, c)
	made := c.Admin.Do("POST", "/compute/v2.1/os-aggregates", object{"aggregate": object{"name": "rack"}}).Expect(http.StatusOK)
	path := "/compute/v2.1/os-aggregates/" + fmt.Sprint(made.Value("aggregate.id"))
	for _, host := range []string{"sim-1", "sim-3"} {
		c.Admin.Do("POST", path+"/action", object{"add_host": object{"host": host}}).Expect(http.StatusOK)
	}
	ask := func(of *testcloud.Client, path, version string, images ...string) int {
		list := []any{}
		for _, one := range images {
			list = append(list, object{"id": one})
		}
		return of.Do("POST", path+"/images", object{"cache": list}, computeVersion, "compute "+version).Status
	}
	for _, bad := range []struct {
		want, got int
		what      string
	}{
		{404, ask(c.Admin, path, "2.80", img), "before 2.81"}, {403, ask(c.Demo, path, "2.81", img), "a user"},
		{400, ask(c.Admin, path, "2.81"), "no image"}, {400, ask(c.Admin, path, "2.81", img, img), "twice"},
		{400, ask(c.Admin, path, "2.81", "x"), "not an id"}, {400, ask(c.Admin, path, "2.81", id.New()), "not there"},
		{404, ask(c.Admin, "/compute/v2.1/os-aggregates/777", "2.81", img), "no aggregate"}, {400, ask(c.Admin, "/compute/v2.1/os-aggregates/x", "2.81", img), "not a number"},
	} {
		if bad.got != bad.want {
			t.Errorf("%s: %d, want %d", bad.what, bad.got, bad.want)
		}
	}
	if got := ask(c.Admin, path, "2.81", img); got != http.StatusAccepted {
		t.Fatal(got)
	}
	c.RunTasks()
	told := map[string]any{}
	if _, err := outbox.Publish(t.Context(), c.DB); err != nil {
		t.Fatal(err)
	}
	list, err := outbox.Read(t.Context(), c.DB, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if p := e.Record.Payload; e.Record.Action == "cache_images.progress" {
			told[p["host"].(string)] = p["images_cached"].([]any)[0]
		}
	}
	if len(told) != 2 || told["sim-1"] != img || told["sim-3"] != img {
		t.Errorf("told of %v", told)
	}
}
