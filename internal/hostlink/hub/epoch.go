package hub

import (
	"context"

	"github.com/mekcloud/mek/internal/hostlink"
)

// now asks for the present epoch. Reports are judged by the last answer.
func (h *Hub) now(ctx context.Context) (int64, error) {
	if h.cfg.Epochs == nil {
		return 0, nil
	}
	epoch, err := h.cfg.Epochs.Current(ctx)
	if err == nil {
		h.epoch.Store(epoch)
	}
	return epoch, err
}

// ahead is the epoch to send a document in. A host that holds a later revision
// than the database has ever given out proves that the database went back in
// time: what was rendered was read after the host accepted what it holds.
func (h *Hub) ahead(ctx context.Context, name string, epoch int64, doc hostlink.Document, held hostlink.Held) (int64, error) {
	if h.cfg.Epochs == nil || held.Epoch < epoch || held.Epoch == epoch && held.Revision <= doc.Revision {
		return epoch, nil
	}
	h.cfg.Log.Warn("a host has accepted what the database does not know: the database went back in time", "host", name, "section", held.Section,
		"held", held.Revision, "known", doc.Revision)
	epoch, err := h.cfg.Epochs.Next(ctx, held.Epoch)
	if err == nil {
		h.epoch.Store(epoch)
	}
	return epoch, err
}

// ofThisEpoch takes the revisions out of a report that counts in another epoch:
// nobody may take it for the fulfilment of what is asked for now.
func (h *Hub) ofThisEpoch(r hostlink.Report) hostlink.Report {
	if r.Epoch == h.epoch.Load() {
		return r
	}
	r.Revision, r.Applied = 0, 0
	objects := make([]hostlink.ObjectReport, len(r.Objects))
	for i, o := range r.Objects {
		o.Revision = 0
		objects[i] = o
	}
	r.Objects = objects
	return r
}
