package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	volumeapi "github.com/mekcloud/mek/internal/blockstorage/api"
	archive "github.com/mekcloud/mek/internal/blockstorage/archive/files"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// blockstorage builds Cinder. Compute is built on it, so it learns of compute
// only when both are there.
func (b *builder) blockstorage(ctx context.Context) error {
	b.shared.grown = &grownVolumes{}
	s := volumeapi.New(volumeapi.Deps{DB: b.DB, Clock: b.Clock, Tasks: b.tasks, Hosts: b.Hub, Images: b.shared.images,
		Servers: b.shared.grown, Quotas: b.Config.Quotas, Server: b.Config.HostName, Archive: archive.New(filepath.Join(b.Config.VolumeDir, "backups")),
		Converter: b.shared.sandbox, Scratch: filepath.Join(b.Config.VolumeDir, "uploads"), Level: logLevel{b.Level}})
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	b.shared.volumes = s.ForCompute()
	b.shared.imageClaims.add(s.Volumes)
	b.shared.hostKeeps = func(ctx context.Context, host string) error {
		k, err := s.Volumes.KeptBy(ctx, host)
		if err == nil && k.Volumes+k.Snapshots > 0 {
			err = fault.Conflictf("Unable to delete compute service that keeps %d volumes and %d snapshots. Migrate or delete them first.", k.Volumes, k.Snapshots)
		}
		return err
	}
	b.Hub.Register(hostlink.Volumes, s.Render, s.Volumes.Observe)
	b.Hub.HandleStream(disk.StreamRead, s.Volumes.Stream)
	b.Hub.HandleStream(disk.StreamBackup, s.Backups.Stream)
	b.checks.Add(s.Checks()...)
	b.shared.across.volumes = s.ServerVolumes
	b.serve(s.REST())
	return nil
}

// grownVolumes tells compute, which is built later, that volumes have grown.
type grownVolumes struct{ to blockstorage.Servers }

// Extended implements blockstorage.Servers.
func (g *grownVolumes) Extended(ctx context.Context, server, volume, request string, sizeGiB int64) error {
	if g.to == nil {
		return nil // a cloud without compute
	}
	return g.to.Extended(ctx, server, volume, request, sizeGiB)
}

// logLevel is how much the server logs, in the words of the volume API.
type logLevel struct{ level *slog.LevelVar } // nil: it cannot be changed

var logWords = map[string]slog.Level{"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "ERROR": slog.LevelError, "CRITICAL": slog.LevelError}

// Level is the level now.
func (l logLevel) Level() string {
	now := slog.LevelInfo
	if l.level != nil {
		now = l.level.Level()
	}
	for _, word := range []string{"ERROR", "WARNING", "INFO"} {
		if now >= logWords[word] {
			return word
		}
	}
	return "DEBUG"
}

// SetLevel changes it.
func (l logLevel) SetLevel(word string) error {
	level, ok := logWords[strings.ToUpper(word)]
	switch {
	case !ok:
		return fault.Invalidf("Invalid input received: level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL")
	case l.level == nil:
		return fault.New(fault.NotImplemented, "The log level of this server is fixed.")
	}
	l.level.Set(level)
	return nil
}
