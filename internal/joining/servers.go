package joining

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// StreamServers is the kind of stream by which a host learns where all servers
// of the cloud are: one Servers as JSON.
const StreamServers = "servers"

// A server says each hour where it is; one that has not for long is no more.
const (
	announceEvery = time.Hour
	forgetAfter   = 7 * 24 * time.Hour
)

// Door is where hosts reach one server.
type Door struct {
	Name    string `json:"name"`
	API     string `json:"api,omitempty"`
	Bus     string `json:"bus"`
	Streams string `json:"streams"`
}

// Servers are all of them.
type Servers struct {
	Servers []Door `json:"servers"`
}

// Announce tells the other servers where hosts reach this one, if they do.
func (s *Service) Announce(ctx context.Context) error {
	own := s.cfg.Settings
	if len(own.Servers) == 0 || len(own.Streams) == 0 {
		return nil
	}
	row := &serverRow{Name: s.cfg.Home, Bus: own.Servers[0], Streams: own.Streams[0], SeenAt: clock.Micros(s.cfg.Clock.Now())}
	if len(own.API) > 0 {
		row.API = own.API[0]
	}
	return s.cfg.DB.Write(ctx, func(tx *db.Tx) error { return doors.Upsert(ctx, tx, row) })
}

// Doors lists where hosts reach the servers of the cloud, this one first.
func (s *Service) Doors(ctx context.Context) ([]Door, error) {
	since := clock.Micros(s.cfg.Clock.Now().Add(-forgetAfter))
	found, err := doors.List(ctx, s.cfg.DB, listing.Query{Order: []listing.Order{{Column: "name"}}}.And("seen_at", listing.More, since))
	out := make([]Door, 0, len(found))
	for _, r := range found {
		out = append(out, Door{r.Name, r.API, r.Bus, r.Streams})
	}
	slices.SortStableFunc(out, func(a, b Door) int {
		switch s.cfg.Home {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return 0
	})
	return out, err
}

// settings are what a host that joins now is told.
func (s *Service) settings(ctx context.Context) (Settings, error) {
	out := s.cfg.Settings
	list, err := s.Doors(ctx)
	if err != nil {
		return out, err
	}
	out.API, out.Servers, out.Streams = slices.Clone(out.API), slices.Clone(out.Servers), slices.Clone(out.Streams)
	for _, d := range list {
		if slices.Contains(out.Servers, d.Bus) {
			continue
		}
		out.Servers, out.Streams = append(out.Servers, d.Bus), append(out.Streams, d.Streams)
		if d.API != "" {
			out.API = append(out.API, d.API)
		}
	}
	return out, nil
}

// Stream answers a host that asks where the servers are (hostlink.StreamHandler).
func (s *Service) Stream(ctx context.Context, _ string, _ json.RawMessage) (io.ReadWriteCloser, error) {
	list, err := s.Doors(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(Servers{list})
	if err != nil {
		return nil, fault.Internalf("servers of the cloud: %w", err)
	}
	return &said{bytes.NewReader(text)}, nil
}

// said is a stream that is only read.
type said struct{ io.Reader }

func (*said) Write(p []byte) (int, error) { return len(p), nil } // the asker has nothing to say
func (*said) Close() error                { return nil }
