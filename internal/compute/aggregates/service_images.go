package aggregates

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

// hostsAtOnce is how many hosts of the cloud fetch images ahead at a time: what
// they take from the network and the image service is not urgent.
const hostsAtOnce = 4

// fetchImages has the hosts of an aggregate fetch images. Invalid for an image
// that is not there.
func (s *Aggregates) fetchImages(ctx context.Context, serial int64, images []string, record event.Record) error {
	if _, err := bySerial(ctx, s.DB, serial); err != nil {
		return err
	}
	for _, one := range images {
		if _, err := s.Images.Lookup(ctx, image.Viewer{Admin: true}, one); fault.Is(err, fault.NotFound) {
			return fault.Invalidf("Image %s could not be found.", one)
		} else if err != nil {
			return err
		}
	}
	r, now := &imageRequest{ID: id.New(), Images: db.J(images), ProjectID: record.ProjectID, UserID: record.UserID, RequestID: record.RequestID}, clock.Micros(s.Clock.Now())
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		a, err := bySerial(ctx, tx, serial)
		if err != nil {
			return err
		}
		r.Aggregate, r.Total, r.Done = db.J(named{a.Serial, a.ID, a.Name}), int64(len(a.Hosts.V)), 0
		if err := s.tell(ctx, tx, r, "", nil); err != nil {
			return err
		}
		if r.Total == 0 {
			return s.tell(ctx, tx, r, ".end", nil)
		}
		if err := imageRequests.Insert(ctx, tx, r); err != nil {
			return err
		}
		waiting := make([]*imageHost, len(a.Hosts.V))
		for i, host := range a.Hosts.V {
			waiting[i] = &imageHost{ID: id.Named(r.ID + "/" + host), Request: r.ID, Host: host, CreatedAt: now}
		}
		if err := imageHosts.Insert(ctx, tx, waiting...); err != nil {
			return err
		}
		return s.giveTurns(ctx, tx)
	})
}

// giveTurns lets hosts begin, as many as may.
func (s *Aggregates) giveTurns(ctx context.Context, tx *db.Tx) error {
	if err := takeTurns(ctx, tx); err != nil {
		return err
	}
	running, err := imageHosts.Count(ctx, tx, is("running", true))
	if err != nil {
		return err
	}
	next, err := nextHosts(ctx, tx, hostsAtOnce-running)
	if err != nil {
		return err
	}
	for _, one := range next {
		r, err := imageRequests.Get(ctx, tx, one.Request)
		if err != nil {
			return err
		}
		if err := imageHosts.Set(ctx, tx, one.ID, map[string]any{"running": true}); err != nil {
			return err
		}
		work := task.Work{Object: one.ID, ProjectID: r.ProjectID, UserID: r.UserID, RequestID: r.RequestID, Fresh: true}
		if _, err := s.saga.Enqueue(ctx, tx, work, imageParams{Host: one.Host, Images: r.Images.V}); err != nil {
			return err
		}
	}
	return nil
}

// hostEnded says what became of a host's turn, and gives it to another. Again is fine.
func (s *Aggregates) hostEnded(ctx context.Context, tx *db.Tx, turn string, results map[string]outcome) error {
	if err := takeTurns(ctx, tx); err != nil {
		return err
	}
	one, err := imageHosts.Get(ctx, tx, turn)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := imageRequests.Get(ctx, tx, one.Request)
	if err != nil {
		return err
	}
	if err := imageHosts.Delete(ctx, tx, turn); err != nil {
		return err
	}
	r.Done++
	cached, failed := []string{}, []string{}
	for _, i := range r.Images.V {
		if got := results[i]; got == fetched || got == existing {
			cached = append(cached, i)
		} else {
			failed = append(failed, i)
		}
	}
	err = s.tell(ctx, tx, r, ".progress", map[string]any{"host": one.Host, "images_cached": cached, "images_failed": failed, "index": r.Done, "total": r.Total})
	if err != nil {
		return err
	}
	if r.Done < r.Total {
		err = imageRequests.Set(ctx, tx, r.ID, map[string]any{"done": r.Done})
	} else if err = imageRequests.Delete(ctx, tx, r.ID); err == nil {
		err = s.tell(ctx, tx, r, ".end", nil)
	}
	if err != nil {
		return err
	}
	return s.giveTurns(ctx, tx)
}

// tell writes an event; its payload has the members that upstream's has. The
// request itself is the start, and has the images besides.
func (s *Aggregates) tell(ctx context.Context, tx *db.Tx, r *imageRequest, phase string, payload map[string]any) error {
	if payload == nil {
		payload = map[string]any{}
	}
	a := r.Aggregate.V
	payload["id"], payload["uuid"], payload["name"] = a.Serial, a.ID, a.Name
	record := event.Record{Service: "compute", Action: "cache_images" + phase, Kind: "aggregate", Object: a.ID, Payload: payload}
	if phase == "" {
		payload["images"] = slices.Clone(r.Images.V)
		record.UserID, record.RequestID = r.UserID, r.RequestID
	} else {
		payload["request_id"] = r.RequestID // hosts did this, and the request has its record
	}
	return outbox.Write(ctx, tx, record)
}

// HostMayRead tells whether a host is fetching an image ahead (image.Claims).
func (s *Aggregates) HostMayRead(ctx context.Context, host, imageID string) (bool, error) {
	return fetching(ctx, s.DB, host, imageID)
}
