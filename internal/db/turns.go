package db

import "github.com/mekcloud/mek/internal/rota"

const (
	// maxBatch bounds how long the first of a batch waits for the last.
	maxBatch = 128
	// mixedBatch is how many a batch has once everybody who waits is in it.
	mixedBatch = 16
)

// turns is who waits for the only writer, by project ("" is work of none), so
// that a flood of one holds another up by the batch that is being written.
type turns struct{ rota.Queue[*request] }

// next is the next batch: the first of each project, then the second of each, and so on.
func (t *turns) next() (batch []*request) {
	most := maxBatch
	if t.Keys() > 1 {
		most = max(mixedBatch, min(t.Keys(), maxBatch))
	}
	for len(batch) < most {
		r, ok := t.Next(nil)
		if !ok {
			break
		}
		batch = append(batch, r)
	}
	return batch
}
