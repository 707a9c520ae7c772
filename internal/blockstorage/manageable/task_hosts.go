package manageable

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
)

// Specs lists what a host shall keep of relics.
func (s *Store) Specs(ctx context.Context, host string) ([]disk.Spec, error) {
	list, err := s.on(ctx, host, "")
	out := make([]disk.Spec, 0, len(list))
	for _, r := range list {
		spec := disk.Spec{ID: r.ID, Kind: disk.Volume, SizeBytes: r.SizeGiB * blockstorage.GiB, Format: disk.Raw, Made: true, Epoch: r.Epoch}
		if r.Snapshot {
			spec.Kind = disk.Snapshot
		}
		out = append(out, spec)
	}
	return out, err
}
