package installation

import (
	"context"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/supervisor"
)

// Supervise runs what the cloud is made of until ctx ends, and keeps the
// certificates fresh. After a reboot it also makes the run directory again.
func (i *Installation) Supervise(ctx context.Context) error {
	if err := errors.Join(i.need(), i.notRestoring()); err != nil {
		return err
	}
	led, err := i.ledger()
	if err != nil {
		return err
	}
	if err := i.makeFolders(led); err != nil {
		return err
	}
	every := time.Hour
	if _, err := i.Certificates(); i.cfg.Joined() {
		every = time.Minute // one that was off for long may wait for its server to come back
		if err != nil {
			i.Log.Warn("certificate of this host", "error", err)
		}
	} else if err != nil {
		return err
	}
	p, err := plan.Prepare(ctx, i.cfg, i.program(), i.Log)
	if err != nil {
		return err
	}
	set, err := i.engines()
	if err != nil {
		return err
	}
	i.Log.Info("supervising", "data_dir", i.cfg.DataDir)
	return supervisor.Run(ctx, supervisor.Config{
		Set: set, Stages: p.Stages(), Clock: i.Clock, Log: i.Log, Every: every,
		Chores: func(context.Context) error {
			changed, err := i.Certificates()
			if changed {
				i.Log.Info("certificates were renewed")
			}
			return err
		},
	})
}
