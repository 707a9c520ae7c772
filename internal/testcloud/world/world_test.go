package world_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestWorld(t *testing.T) {
	w := world.New(t, testcloud.New(t))
	for what, id := range w.Things {
		if id == "" {
			t.Errorf("no %s", what)
		}
	}
}
