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

	lanes   map[bool]*rota.Queue[item] // by preempt; their keys are projects
	running int
	deletes int
	busy    map[string]int // running by project, deletes not counted
}

func newFairQueue(workers, reserved, perProject int) *fairQueue {
	return &fairQueue{workers: workers, reserved: reserved, perProject: perProject, busy: map[string]int{},
		lanes: map[bool]*rota.Queue[item]{false: {}, true: {}}}
}

func (q *fairQueue) push(it item) { q.lanes[it.preempt].Add(it.project, it) }

// pop takes the next saga that a worker is free for. The caller calls done for it.
func (q *fairQueue) pop() (item, bool) {
	if q.running < q.workers+q.reserved && q.deletes < q.workers+q.reserved {
		if it, ok := q.lanes[true].Next(nil); ok {
			q.running++
			q.deletes++
			return it, true
		}
	}
	if q.running-q.deletes >= q.workers || q.running >= q.workers+q.reserved {
		return item{}, false
	}
	it, ok := q.lanes[false].Next(func(project string) bool { return q.busy[project] < q.perProject })
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

func (q *fairQueue) queued() int { return q.lanes[false].Len() + q.lanes[true].Len() }
