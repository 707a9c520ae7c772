package db

import (
	"fmt"
	"testing"
)

// A project's flood holds another up by one batch, and that batch is short.
func TestWritersGoInTurns(t *testing.T) {
	var q turns
	name := map[*request]string{}
	add := func(project string, n int) {
		for i := range n {
			r := &request{}
			name[r] = fmt.Sprint(project, i)
			q.Add(project, r)
		}
	}
	add("a", 300)
	add("b", 2)
	add("", 1)
	batch := q.next()
	got := ""
	for _, r := range batch[:6] {
		got += name[r] + " "
	}
	if got != "a0 b0 0 a1 b1 a2 " || len(batch) != mixedBatch {
		t.Errorf("a batch of %d begins with %s", len(batch), got)
	}
	left := 300 - 13
	for left > 0 {
		batch = q.next()
		if want := min(left, maxBatch); len(batch) != want {
			t.Fatalf("alone, a batch of %d of %d", len(batch), left)
		}
		if got, want := name[batch[0]], fmt.Sprint("a", 300-left); got != want {
			t.Fatalf("%s comes when it is the turn of %s", got, want)
		}
		left -= len(batch)
	}
	for i := range 50 {
		add(fmt.Sprint("p", i), 3)
	}
	if batch = q.next(); len(batch) != 50 {
		t.Errorf("a batch of %d leaves some of 50 projects out", len(batch))
	}
	for n := 100; n > 0; n -= len(batch) {
		if batch = q.next(); len(batch) == 0 {
			t.Fatal("requests are lost")
		}
	}
	if batch = q.next(); len(batch) != 0 || q.Len() != 0 || q.Keys() != 0 {
		t.Errorf("left: %d %d", len(batch), q.Len())
	}
}
