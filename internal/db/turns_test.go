package db

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// queue is turns, and requests by name.
type queue struct {
	turns
	name map[*request]string
}

func (q *queue) add(project string, n int) {
	if q.name == nil {
		q.name = map[*request]string{}
	}
	for i := range n {
		r := &request{project: project}
		q.name[r] = fmt.Sprint(project, i)
		q.Add(project, r)
	}
}

// batch takes one out, each of whose requests takes some time.
func (q *queue) batch(each, commit time.Duration) (names []string) {
	b, worked := q.begin(commit), time.Duration(0)
	for {
		r, ok := q.next(b, worked)
		if !ok {
			return names
		}
		names = append(names, q.name[r])
		worked += each
	}
}

// A project's flood holds another up by one batch, and that batch is short.
func TestWritersGoInTurns(t *testing.T) {
	var q queue
	q.add("a", 300)
	q.add("b", 2)
	q.add("", 1)
	got := q.batch(0, 0)
	if head := strings.Join(got[:6], " "); head != "a0 b0 0 a1 b1 a2" || len(got) != mixedBatch {
		t.Errorf("a batch of %d begins with %s", len(got), head)
	}
	left := 300 - 13
	for left > 0 {
		got = q.batch(0, 0)
		if want := min(left, maxBatch); len(got) != want {
			t.Fatalf("alone, a batch of %d of %d", len(got), left)
		}
		if want := fmt.Sprint("a", 300-left); got[0] != want {
			t.Fatalf("%s comes when it is the turn of %s", got[0], want)
		}
		left -= len(got)
	}
	for i := range 50 {
		q.add(fmt.Sprint("p", i), 3)
	}
	if got = q.batch(time.Second, 0); len(got) != 50 {
		t.Errorf("a batch of %d leaves some of 50 projects out", len(got))
	}
	for n := 100; n > 0; n -= len(got) {
		if got = q.batch(0, 0); len(got) == 0 {
			t.Fatal("requests are lost")
		}
	}
	if got = q.batch(0, 0); len(got) != 0 || q.Len() != 0 || q.Keys() != 0 {
		t.Errorf("left: %d %d", len(got), q.Len())
	}
}

// TestBatchesEndForOthers (I-36): a project that comes while another's long batch
// is worked on is in that batch, and the batch ends with it: soon, or after what
// a slow disk takes for a commit.
func TestBatchesEndForOthers(t *testing.T) {
	const each = 300 * time.Microsecond
	var q queue
	q.add("a", 300)
	b, n := q.begin(0), 0
	for ; n < 40; n++ { // alone, the batch may become long
		if _, ok := q.next(b, time.Duration(n)*each); !ok {
			t.Fatalf("alone, a batch ended after %d", n)
		}
	}
	q.add("b", 2)
	if r, ok := q.next(b, time.Duration(n)*each); !ok || q.name[r] != "b0" {
		t.Errorf("after b has come, the next is %s", q.name[r])
	}
	if r, ok := q.next(b, time.Duration(n+1)*each); ok {
		t.Errorf("behind b comes %s", q.name[r])
	}
	if got := strings.Join(q.batch(each, 0), " "); got != "a40 b1 a41 a42" {
		t.Errorf("the next batch is %s, want as much as a millisecond is for", got)
	}
	b = q.begin(0)
	for range b.most {
		q.next(b, 0)
	}
	q.add("a", 1)
	if r, ok := q.next(b, 0); ok {
		t.Errorf("%s, which came late, is in a batch of its own project", q.name[r])
	}
	q.add("a", 100)
	q.add("b", 20)
	if got := q.batch(each, 3*time.Millisecond); len(got) != 10 {
		t.Errorf("where a commit takes 3 ms, %d of 0.3 ms go into a batch", len(got))
	}
}
