package task

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) int64 { return clock.Micros(noon.Add(time.Duration(seconds) * time.Second)) }

func TestPlan(t *testing.T) {
	g := &graph{steps: []stepInfo{{name: "a"}, {name: "b"}}}
	late := db.J(causeOf(fault.Unavailablef("no host")))
	for name, c := range map[string]struct {
		row  sagaRow
		g    *graph
		want string
	}{
		"fresh":             {sagaRow{Direction: forward, Step: "a", Deadline: at(1)}, g, "forward 0 <nil>"},
		"second step":       {sagaRow{Direction: forward, Step: "b", Deadline: at(1), NotBefore: at(0)}, g, "forward 1 <nil>"},
		"unknown operation": {sagaRow{Direction: forward, Step: "a", Deadline: at(1)}, nil, "hold 0 <nil>"},
		"unknown step":      {sagaRow{Direction: forward, Step: "z", Deadline: at(1)}, g, "hold 0 <nil>"},
		"backing off":       {sagaRow{Direction: forward, Step: "a", Deadline: at(9), NotBefore: at(5)}, g, "wait 0 <nil>"},
		"cancelled meanwhile": {sagaRow{Direction: forward, Step: "b", Deadline: at(9), NotBefore: at(5), Cancel: true}, g,
			"unwind 1 " + errCancelled.Error()},
		"too late":          {sagaRow{Direction: forward, Step: "b", Deadline: at(0)}, g, "unwind 1 The operation did not finish in time."},
		"too late, a cause": {sagaRow{Direction: forward, Step: "b", Deadline: at(-1), NotBefore: at(5), Error: late}, g, "unwind 1 The operation was given up: no host: no host: no host"},
		"unwinding":         {sagaRow{Direction: backward, Step: "b", Deadline: at(-1), Cancel: true}, g, "backward 1 <nil>"},
		"undo backing off":  {sagaRow{Direction: backward, Step: "b", Deadline: at(-1), NotBefore: at(1)}, g, "wait 1 <nil>"},
	} {
		v, step, why := plan(&c.row, c.g, noon)
		if got := fmt.Sprint(v, " ", step, " ", why); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRecovery(t *testing.T) {
	for name, c := range map[string]struct {
		row             sagaRow
		starting, known bool
		want            rescue
	}{
		"another's":            {sagaRow{State: stateLive, Owner: "b", LeaseUntil: at(0)}, false, false, rescueLeave},
		"another's, at start":  {sagaRow{State: stateLive, Owner: "b", LeaseUntil: at(0)}, true, false, rescueLeave},
		"another's, dead":      {sagaRow{State: stateLive, Owner: "b", LeaseUntil: at(-1)}, false, false, rescueClaim},
		"ours, in hand":        {sagaRow{State: stateLive, Owner: "a", LeaseUntil: at(1)}, false, true, rescueLeave},
		"ours, forgotten":      {sagaRow{State: stateLive, Owner: "a", LeaseUntil: at(1)}, false, false, rescuePush},
		"ours, before restart": {sagaRow{State: stateLive, Owner: "a", LeaseUntil: at(1)}, true, false, rescueClaim},
		"waiting":              {sagaRow{State: stateWaiting, Owner: "b", LeaseUntil: at(-9)}, false, false, rescueStart},
	} {
		if got := recovery(&c.row, "a", c.starting, c.known, c.row.LeaseUntil < at(0)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	b := backoff{200 * time.Millisecond, 10 * time.Second}
	last := time.Duration(0)
	for i := range int64(100) {
		low, high := b.delay(i, 0), b.delay(i, 255)
		if low < last || high > 12500*time.Millisecond || high <= low {
			t.Errorf("attempt %d: %s to %s after %s", i, low, high, last)
		}
		last = low
	}
	if last != 7500*time.Millisecond {
		t.Errorf("ends at %s", last)
	}
}

func TestCausesSurviveTheirRow(t *testing.T) {
	c := causeOf(fmt.Errorf("step: %w", fault.NotFoundf("no such image").With("ImageNotFound")))
	if f := fault.As(c.err()); f.Kind != fault.NotFound || f.Text != "no such image" || f.Code != "ImageNotFound" {
		t.Errorf("%+v", f)
	}
	if !Cancelled(causeOf(fmt.Errorf("x: %w", errCancelled)).err()) || Cancelled(errors.New("x")) {
		t.Error("cancelled is not kept")
	}
}

func TestQueueIsFair(t *testing.T) {
	q := newFairQueue(4, 2, 3, func() bool { return true })
	for i := range 10 {
		q.push(item{id: fmt.Sprint("a", i), project: "a"})
	}
	q.push(item{id: "b0", project: "b"})
	var got []string
	var taken []item
	next := func() {
		for {
			it, ok := q.pop()
			if !ok {
				return
			}
			got, taken = append(got, it.id), append(taken, it)
		}
	}
	next()
	if fmt.Sprint(got) != "[a0 b0 a1 a2]" {
		t.Errorf("first round %v", got)
	}
	for i := range 3 {
		q.push(item{id: fmt.Sprint("d", i), project: "a", preempt: true})
	}
	got = nil
	next()
	if fmt.Sprint(got) != "[d0 d1]" {
		t.Errorf("deletes beside full workers: %v", got)
	}
	got = nil
	for len(taken) > 0 {
		q.done(taken[0])
		taken = taken[1:]
		next()
	}
	if len(got) != 8 || q.queued() != 0 || q.running != 0 || len(q.busy) != 0 {
		t.Errorf("rest %v, %d queued, %d running", got, q.queued(), q.running)
	}
}

// While nobody else asks for anything, twice as many sagas are at work; as soon as
// somebody does, none begins beyond what is due to a project.
func TestQueueIsWideWhileNobodyElseAsks(t *testing.T) {
	crowded := false
	q := newFairQueue(4, 2, 3, func() bool { return crowded })
	for i := range 20 {
		q.push(item{id: fmt.Sprint("a", i), project: "a"})
	}
	running := func() (n int) {
		for _, ok := q.pop(); ok; _, ok = q.pop() {
		}
		return q.running
	}
	if n := running(); n != 6 {
		t.Errorf("%d of one project run alone", n)
	}
	crowded = true
	for range 4 {
		q.done(item{project: "a"})
	}
	if n := running(); n != 3 {
		t.Errorf("%d of one project run beside others", n)
	}
}
