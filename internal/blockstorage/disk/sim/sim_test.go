package sim_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/disktest"
	"github.com/mekcloud/mek/internal/blockstorage/disk/sim"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	disktest.Run(t, func(*testing.T) disk.Driver { return sim.New(sim.Config{}) })
}
