package task

import "github.com/mekcloud/mek/internal/rota"

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
	crowded    func() bool

	lanes   map[bool]*rota.Queue[item] // by preempt; their keys are projects
	running int
	deletes int
	busy    map[string]int // running by project, deletes not counted
}

func newFairQueue(workers, reserved, perProject int, crowded func() bool) *fairQueue {
	return &fairQueue{workers: workers, reserved: reserved, perProject: perProject, crowded: crowded, busy: map[string]int{},
		lanes: map[bool]*rota.Queue[item]{false: {}, true: {}}}
}

func (q *fairQueue) push(it item) { q.lanes[it.preempt].Add(it.project, it) }

// pop takes the next saga that a worker is free for. The caller calls done for it.
func (q *fairQueue) pop() (item, bool) {
	workers, each := q.most()
	if q.running < workers+q.reserved && q.deletes < workers+q.reserved {
		if it, ok := q.lanes[true].Next(nil); ok {
			q.running++
			q.deletes++
			return it, true
		}
	}
	if q.running-q.deletes >= workers || q.running >= workers+q.reserved {
		return item{}, false
	}
	it, ok := q.lanes[false].Next(func(project string) bool { return q.busy[project] < each })
	if ok {
		q.running++
		q.busy[it.project]++
	}
	return it, ok
}

// most is how many may run at once: of all, and of each project.
func (q *fairQueue) most() (all, each int) {
	if q.queued() == 0 || q.crowded() {
		return q.workers, q.perProject
	}
	return 2 * q.workers, 2 * q.perProject
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

func (q *fairQueue) queued() int { return q.lanes[false].Len() + q.lanes[true].Len() }
