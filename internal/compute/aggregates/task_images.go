package aggregates

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task"
)

// Agents are the agents of hosts; see hostlink.Hosts.
type Agents interface {
	Do(ctx context.Context, host string, cmd hostlink.Command) (json.RawMessage, error)
	Forget(ctx context.Context, host, token string) error
	Alive(host string) bool
}

// outcome is what became of one image on one host, in upstream's words.
type outcome string

const (
	fetched     outcome = "cached"
	existing    outcome = "existing"
	failed      outcome = "error"
	skipped     outcome = "skipped" // the host is down
	unsupported outcome = "unsupported"
)

const (
	// fetchLimit is how long a host may take to fetch one image.
	fetchLimit = 2 * time.Hour
	// patience is how often an image is tried on a host that is up: some minutes,
	// so that servers and agents can be started anew meanwhile.
	patience = 24
)

type imageParams struct {
	Host   string   `json:"host"`
	Images []string `json:"images"`
}

type imageState struct {
	Results map[string]outcome `json:"results,omitempty"`
}

type imageRun = task.Run[imageParams, imageState]

// imageSaga brings images to one host. Nothing is taken back: what the host has
// by then is of use, and goes by itself.
func (s *Aggregates) imageSaga() task.Saga[imageParams, imageState] {
	return task.Saga[imageParams, imageState]{Name: "compute.aggregate.images", Deadline: 6 * time.Hour, Steps: []task.Step[imageParams, imageState]{
		{Name: "begin", UndoCommit: s.ended},
		{Name: "fetch", Do: s.fetch, Undo: s.forget, Timeout: fetchLimit},
		{Name: "forget", Do: s.forget},
		{Name: "end", Commit: s.ended},
	}}
}

// fetch asks the host for one image after the other, until each has an outcome.
func (s *Aggregates) fetch(ctx context.Context, r *imageRun) error {
	if r.State.Results == nil {
		r.State.Results = map[string]outcome{}
	}
	for i, one := range r.Params.Images {
		if r.State.Results[one] != "" {
			continue
		}
		got, err := s.bring(ctx, r, one, token(r, i))
		if err != nil && (!fault.Is(err, fault.Unavailable) || r.Attempt >= patience) {
			got, err = failed, nil
		}
		if err != nil {
			return err
		}
		r.State.Results[one] = got
	}
	return nil
}

func (s *Aggregates) bring(ctx context.Context, r *imageRun, id, token string) (outcome, error) {
	up, err := s.Hosts.Answers(ctx, r.Params.Host)
	if err != nil {
		return "", fault.Unavailablef("it is not known whether the host is up").Because(err)
	}
	if !up {
		return skipped, nil
	}
	i, err := s.Images.Lookup(ctx, image.Viewer{Admin: true}, id)
	if err != nil {
		return "", err
	}
	if !i.Usable() || i.Content != image.Raw && i.Content != image.QCOW2 {
		return failed, nil // no server is made of it either
	}
	params, err := json.Marshal(guest.CacheParams{Format: string(i.Content)})
	if err != nil {
		return "", err
	}
	out, err := s.Agents.Do(ctx, r.Params.Host, hostlink.Command{Token: token, Section: hostlink.Guests, Object: id, Verb: guest.VerbCache, Params: params,
		Timeout: fetchLimit})
	if fault.Is(err, fault.NotImplemented) {
		return unsupported, nil
	}
	if err != nil {
		return "", err
	}
	var answer guest.CacheAnswer
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fault.Internalf("answer of host %s: %w", r.Params.Host, err)
	}
	if answer.Fetched {
		return fetched, nil
	}
	return existing, nil
}

// token is one of the image at a place among those asked for. Forget knows them too.
func token(r *imageRun, at int) string { return r.ID + "-" + strconv.Itoa(at) }

// forget lets the host forget what it did. One that is away forgets by itself.
func (s *Aggregates) forget(ctx context.Context, r *imageRun) error {
	for i := range r.Params.Images {
		if !s.Agents.Alive(r.Params.Host) {
			return nil
		}
		if err := s.Agents.Forget(ctx, r.Params.Host, token(r, i)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Aggregates) ended(ctx context.Context, tx *db.Tx, r *imageRun) error {
	return s.hostEnded(ctx, tx, r.Object, r.State.Results)
}
