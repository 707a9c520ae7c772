package task

// item is a saga that could run.
type item struct {
	id, project string
	preempt     bool
}

// fairQueue orders runnable sagas: round robin over projects, first come first
// served within one, at most perProject of a project at a time, and some
// workers only for deletes. Not safe for concurrent use.
type fairQueue struct {
	workers    int // for everything
	reserved   int // more, for deletes only
	perProject int

	lanes   map[bool]*lane // by preempt
	running int
	deletes int
	busy    map[string]int // running by project, deletes not counted
}

type lane struct {
	ring  []string // projects with something queued, in order of service
	queue map[string][]item
}

func newFairQueue(workers, reserved, perProject int) *fairQueue {
	return &fairQueue{workers: workers, reserved: reserved, perProject: perProject, busy: map[string]int{},
		lanes: map[bool]*lane{false: {queue: map[string][]item{}}, true: {queue: map[string][]item{}}}}
}

func (q *fairQueue) push(it item) {
	l := q.lanes[it.preempt]
	if len(l.queue[it.project]) == 0 {
		l.ring = append(l.ring, it.project)
	}
	l.queue[it.project] = append(l.queue[it.project], it)
}

// pop takes the next saga that a worker is free for. The caller calls done for it.
func (q *fairQueue) pop() (item, bool) {
	if q.running < q.workers+q.reserved && q.deletes < q.workers+q.reserved {
		if it, ok := q.lanes[true].pop(func(string) bool { return true }); ok {
			q.running++
			q.deletes++
			return it, true
		}
	}
	if q.running-q.deletes >= q.workers || q.running >= q.workers+q.reserved {
		return item{}, false
	}
	it, ok := q.lanes[false].pop(func(project string) bool { return q.busy[project] < q.perProject })
	if ok {
		q.running++
		q.busy[it.project]++
	}
	return it, ok
}

func (q *fairQueue) done(it item) {
	q.running--
	if it.preempt {
		q.deletes--
		return
	}
	if q.busy[it.project]--; q.busy[it.project] == 0 {
		delete(q.busy, it.project)
	}
}

func (q *fairQueue) queued() int {
	n := 0
	for _, l := range q.lanes {
		for _, items := range l.queue {
			n += len(items)
		}
	}
	return n
}

func (l *lane) pop(allowed func(project string) bool) (item, bool) {
	for i, project := range l.ring {
		if !allowed(project) {
			continue
		}
		items := l.queue[project]
		it := items[0]
		l.ring = append(l.ring[:i:i], l.ring[i+1:]...)
		if len(items) == 1 {
			delete(l.queue, project)
		} else {
			l.queue[project] = items[1:]
			l.ring = append(l.ring, project)
		}
		return it, true
	}
	return item{}, false
}
