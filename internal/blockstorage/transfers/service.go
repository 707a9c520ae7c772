package transfers

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

// Transfers is the service behind the API. Safe for concurrent use.
type Transfers struct {
	store   store
	clock   clock.Clock
	volumes blockstorage.Volumes
}

// New makes the service.
func New(d *db.DB, c clock.Clock, v blockstorage.Volumes) *Transfers {
	return &Transfers{store{d}, c, v}
}

func digest(salt, key string) string {
	sum := sha256.Sum256([]byte(salt + key))
	return hex.EncodeToString(sum[:])
}

// offer records a transfer and gives its key.
func (s *Transfers) offer(ctx context.Context, t *Transfer, record event.Record) (key string, err error) {
	key = id.HexSecret(8)
	t.ID, t.Salt, t.CreatedAt = id.New(), id.HexSecret(8), clock.Micros(s.clock.Now())
	t.Hash = digest(t.Salt, key)
	record.Object = t.ID
	err = s.store.db.Write(ctx, func(tx *db.Tx) error {
		_, err := s.volumes.Change(ctx, tx, t.VolumeID, func(v *blockstorage.Volume) error {
			if !v.May(blockstorage.ActTransfer) {
				return blockstorage.InvalidVolume("status must be available")
			}
			v.Before, v.Status = v.Status, blockstorage.AwaitingTransfer
			return nil
		})
		if err != nil {
			return err
		}
		if err := rows.Insert(ctx, tx, t); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return key, err
}

// withdraw takes an offer back.
func (s *Transfers) withdraw(ctx context.Context, t *Transfer, record event.Record) error {
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		if err := rows.Delete(ctx, tx, t.ID); err != nil {
			return notFound(t.ID)
		}
		_, err := s.volumes.Change(ctx, tx, t.VolumeID, func(v *blockstorage.Volume) error {
			if v.Status == blockstorage.AwaitingTransfer {
				v.Status = blockstorage.Available
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// accept gives the volume to a project that knows the key.
func (s *Transfers) accept(ctx context.Context, t *Transfer, key, project, user string, record event.Record) error {
	if subtle.ConstantTimeCompare([]byte(digest(t.Salt, key)), []byte(t.Hash)) != 1 {
		return fault.Invalidf("Invalid auth key: Attempt to transfer %s with invalid auth key.", t.ID)
	}
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "id", Values: []any{t.ID}}); err != nil {
			return err
		}
		_, err := s.volumes.Change(ctx, tx, t.VolumeID, func(v *blockstorage.Volume) error {
			if v.Status != blockstorage.AwaitingTransfer {
				return blockstorage.InvalidVolume("Transfer %s: Volume id %s expected in awaiting-transfer state.", t.ID, v.ID)
			}
			deltas := map[string]int64{"volumes": 1, "gigabytes": v.SizeGiB}
			if !t.NoSnapshots {
				n, size, err := snapshotsOf(ctx, tx, v.ID)
				if err != nil {
					return err
				}
				deltas["snapshots"], deltas["gigabytes"] = n, v.SizeGiB+size
				if err := giveSnapshots(ctx, tx, v.ID, project, user); err != nil {
					return err
				}
			}
			if project != v.ProjectID {
				if err := s.volumes.CheckQuota(ctx, tx, project, deltas); err != nil {
					return err
				}
			}
			v.ProjectID, v.UserID, v.Status = project, user, blockstorage.Available
			return nil
		})
		if err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
