package testcloud_test

import (
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/app"
	"github.com/mekcloud/mek/internal/db/watch"
	"github.com/mekcloud/mek/internal/testcloud"
)

// TestLives: every automaton is sound, and a change that is none of its moves is
// found, as is an id that comes back. Every test of a whole cloud ends with the
// same look at all that it committed.
func TestLives(t *testing.T) {
	for _, a := range app.Lives() {
		if err := a.Sound(); err != nil {
			t.Error(err)
		}
	}
	const id = "11111111-2222-4333-8444-555555555555"
	for want, list := range map[string][]watch.Change{
		"":     {{Table: "compute_servers", ID: id, Old: "", New: "building"}, {Table: "compute_servers", ID: id, Old: "building", New: "active"}, {Table: "compute_servers", ID: id, Old: "active", New: ""}},
		"I-15": {{Table: "compute_servers", ID: id, Old: "", New: "building"}, {Table: "compute_servers", ID: id, Old: "building", New: "paused"}},
		"I-16": {{Table: "network_networks", ID: id, Old: "there", New: ""}, {Table: "network_networks", ID: id, Old: "", New: "there"}},
	} {
		got := strings.Join(testcloud.Wrong(list, false), "\n")
		if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", want, got)
		}
	}
}

// TestChangesAreWatched: what is committed is seen, what is rolled back is not,
// and a state written past the services is an error of the test that does it.
func TestChangesAreWatched(t *testing.T) {
	c := testcloud.New(t)
	id := volume(c)
	if seen := c.Lived(id); strings.Join(seen, " ") != "creating available" {
		t.Errorf("the volume was %v", seen)
	}
}
