package app

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	volumeapi "github.com/mekcloud/mek/internal/blockstorage/api"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/hostlink"
)

// blockstorage builds Cinder. Compute is built on it, so it learns of compute
// only when both are there.
func (b *builder) blockstorage(ctx context.Context) error {
	b.shared.grown = &grownVolumes{}
	s := volumeapi.New(volumeapi.Deps{DB: b.DB, Clock: b.Clock, Tasks: b.tasks, Hosts: b.Hub, Images: b.shared.images,
		Servers: b.shared.grown, Quotas: b.Config.Quotas, Server: b.Config.HostName})
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	b.shared.volumes = s.ForCompute()
	b.shared.imageClaims.add(s.Volumes)
	b.Hub.Register(hostlink.Volumes, s.Render, nil)
	b.Hub.HandleStream(disk.StreamRead, s.Volumes.Stream)
	b.serve(s.REST())
	return nil
}

// grownVolumes tells compute, which is built later, that volumes have grown.
type grownVolumes struct{ to blockstorage.Servers }

// Extended implements blockstorage.Servers.
func (g *grownVolumes) Extended(ctx context.Context, server, volume string, sizeGiB int64) error {
	if g.to == nil {
		return nil // a cloud without compute
	}
	return g.to.Extended(ctx, server, volume, sizeGiB)
}
