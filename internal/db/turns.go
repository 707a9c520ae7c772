package db

import (
	"time"

	"github.com/mekcloud/mek/internal/rota"
)

const (
	// maxBatch bounds how long the first of a batch waits for the last.
	maxBatch = 128
	// mixedBatch is how many a batch has once everybody who waits is in it.
	mixedBatch = 16
	// mixedTurn is how long a batch of several projects is worked on at least
	// before its commit. Where a commit takes longer, it is as long as that: the
	// disk then keeps the writer half of the time, at most.
	mixedTurn = time.Millisecond
)

// turns is who waits for the only writer, by project ("" is work of none), so
// that a flood of one holds another up by the batch that is being written, and
// ends that batch soon.
type turns struct{ rota.Queue[*request] }

// batch is what is written by one commit.
type batch struct {
	requests []*request
	projects map[string]bool
	most     int           // requests: who comes later waits for the next, but for the first of a project
	turn     time.Duration // how long it is worked on once it is of several projects
}

// begin is a new batch; commit is how long the last one's commit took.
func (t *turns) begin(commit time.Duration) *batch {
	return &batch{projects: map[string]bool{}, most: min(t.Len(), maxBatch), turn: max(mixedTurn, commit)}
}

// next is the next request of a batch that has been worked on for a while: the
// first of each project, then the second of each, and so on. False: the batch is
// to be committed.
func (t *turns) next(b *batch, worked time.Duration) (*request, bool) {
	if len(b.requests) >= maxBatch {
		return nil, false
	}
	r, ok := t.Next(func(project string) bool { return !b.projects[project] })
	if !ok && len(b.requests) < b.most && (len(b.projects) < 2 || len(b.requests) < mixedBatch && worked < b.turn) {
		r, ok = t.Next(nil)
	}
	if ok {
		b.requests = append(b.requests, r)
		b.projects[r.project] = true
	}
	return r, ok
}
