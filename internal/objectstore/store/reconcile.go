package store

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/reconcile"
)

// Reconcilers keep the store tidy, and export its events to the audit log of d.
func (s *Store) Reconcilers(d *db.DB) []reconcile.Reconciler {
	return []reconcile.Reconciler{
		{Name: "objectstore.audit", Every: time.Second, Run: func(ctx context.Context) error { return s.export(ctx, outboxSink{d}) }},
		{Name: "objectstore.expiry", Every: 15 * time.Second, Run: s.expireObjects},
		{Name: "objectstore.reaper", Every: 15 * time.Second, Run: s.reap},
		{Name: "objectstore.sweep", Every: time.Hour, Run: s.sweep},
		{Name: "objectstore.scrub", Every: time.Minute, Run: func(ctx context.Context) error { return s.scrub(ctx, scrubBytes) }},
	}
}
