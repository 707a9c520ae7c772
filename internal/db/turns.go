package db

const (
	// maxBatch bounds how long the first of a batch waits for the last.
	maxBatch = 128
	// mixedBatch is how many a batch has once everybody who waits is in it.
	mixedBatch = 16
)

// turns is who waits for the only writer: requests of each project in their
// order, and projects in turns, so that a flood of one holds another up by the
// batch that is being written.
type turns struct {
	ring    []string // projects that wait, in order of service; "" is work of no project
	waiting map[string][]*request
}

func (t *turns) add(project string, r *request) {
	if t.waiting == nil {
		t.waiting = map[string][]*request{}
	}
	if len(t.waiting[project]) == 0 {
		t.ring = append(t.ring, project)
	}
	t.waiting[project] = append(t.waiting[project], r)
}

// next is the next batch: the first of each project, then the second of each, and so on.
func (t *turns) next() (batch []*request) {
	most := maxBatch
	if len(t.ring) > 1 {
		most = max(mixedBatch, min(len(t.ring), maxBatch))
	}
	for len(t.ring) > 0 && len(batch) < most {
		project := t.ring[0]
		t.ring = t.ring[1:]
		first, rest := t.waiting[project][0], t.waiting[project][1:]
		batch = append(batch, first)
		if len(rest) == 0 {
			delete(t.waiting, project)
			continue
		}
		t.waiting[project] = rest
		t.ring = append(t.ring, project)
	}
	return batch
}
