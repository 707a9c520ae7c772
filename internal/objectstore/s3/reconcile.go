package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/reconcile"
)

const (
	leftoversEvery = 15 * time.Minute
	// leftoverAge is how old a part without an upload must be: younger ones may
	// belong to a request that is still running.
	leftoverAge = time.Hour
)

// Reconcilers remove what ended uploads have left behind.
func (s *Server) Reconcilers() []reconcile.Reconciler {
	return []reconcile.Reconciler{{Name: "s3.leftovers", Every: leftoversEvery, Run: s.removeLeftovers}}
}

func (s *Server) removeLeftovers(ctx context.Context) error {
	var all []error
	for after := ""; ; {
		accounts, err := s.Store.Accounts(ctx, after, namesPage)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			all = append(all, s.leftoversOf(ctx, a))
			after = a
		}
		if len(accounts) < namesPage {
			return errors.Join(all...)
		}
	}
}

// leftoversOf looks through the containers of parts of an account.
func (s *Server) leftoversOf(ctx context.Context, account string) error {
	l := objectstore.Listing{Limit: 1000}
	for {
		page, err := s.Store.Containers(ctx, account, l)
		if fault.Is(err, fault.NotFound) {
			return nil // the account went
		}
		if err != nil {
			return err
		}
		for _, e := range page {
			l.Marker = e.Container.Name
			bucket, ok := strings.CutSuffix(e.Container.Name, segmentsSuffix)
			if !ok || !validBucket(bucket) {
				continue
			}
			if err := s.leftoversIn(ctx, account, bucket, e.Container.Name); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		if len(page) < l.Limit {
			return nil
		}
	}
}

// leftoversIn removes parts whose upload has ended, and everything once the
// bucket is gone. What others have put there stays.
func (s *Server) leftoversIn(ctx context.Context, account, bucket, container string) error {
	_, err := s.Store.Container(ctx, account, bucket)
	orphaned := fault.Is(err, fault.NotFound)
	if err != nil && !orphaned {
		return err
	}
	old := s.Clock.Now().Add(-leftoverAge)
	live := s.liveUploads(ctx, account, container)
	l := objectstore.Listing{Limit: 1000}
	left := 0
	for {
		page, err := s.Store.Objects(ctx, account, container, l)
		if err != nil {
			return err
		}
		for _, e := range page {
			o := e.Object
			l.Marker = o.Name
			key, id, part, ok := ofUpload(o.Name)
			remove := ok && o.ModifiedAt.Before(old) && (orphaned || part > 0)
			if remove && !orphaned {
				alive, err := live(key + "/" + id)
				if err != nil {
					return err
				}
				remove = !alive
			}
			if !remove {
				left++
				continue
			}
			if _, err := s.Store.Delete(ctx, currentKey(o.Key), stillOld(old), event.Record{}); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		if len(page) < l.Limit {
			break
		}
	}
	if orphaned && left == 0 {
		err = s.Store.DeleteContainer(ctx, account, container, event.Record{})
		if fault.Is(err, fault.Conflict) {
			return nil // somebody has begun anew
		}
		return err
	}
	return nil
}

// liveUploads tells whether an upload goes on, by the name of its marker. Parts of
// one come one after the other, so the last answer is kept.
func (s *Server) liveUploads(ctx context.Context, account, container string) func(string) (bool, error) {
	last, alive := "", false
	return func(name string) (bool, error) {
		if name == last {
			return alive, nil
		}
		_, err := s.Store.Head(ctx, objectstore.Key{Account: account, Container: container, Name: name})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
		last, alive = name, err == nil
		return alive, nil
	}
}

// stillOld keeps a part that was replaced meanwhile.
func stillOld(old time.Time) func(*objectstore.Object) error {
	return func(o *objectstore.Object) error {
		if o != nil && !o.ModifiedAt.Before(old) {
			return fault.NotFoundf("The part is new")
		}
		return nil
	}
}
