package rota

import (
	"strings"
	"testing"
)

func TestKeysGoInTurns(t *testing.T) {
	var q Queue[string]
	for _, v := range strings.Fields("a1 a2 a3 b1 b2 c1") {
		q.Add(v[:1], v)
	}
	if q.Len() != 6 || q.Keys() != 3 {
		t.Errorf("%d of %d keys wait", q.Len(), q.Keys())
	}
	if v, ok := q.Next(func(key string) bool { return key == "b" }); !ok || v != "b1" {
		t.Errorf("of b came %q", v)
	}
	is := func(v string) func(string) bool { return func(other string) bool { return v == other } }
	if !q.Remove("a", is("a2")) || q.Remove("a", is("a2")) || !q.Remove("c", is("c1")) || q.Remove("d", is("d1")) {
		t.Error("who waits is removed once, nobody else")
	}
	var order []string
	for {
		v, ok := q.Next(nil)
		if !ok {
			break
		}
		order = append(order, v)
	}
	if got := strings.Join(order, " "); got != "a1 b2 a3" || q.Len() != 0 || q.Keys() != 0 {
		t.Errorf("served %q, %d left", got, q.Len())
	}
	if _, ok := q.Next(func(string) bool { return false }); ok {
		t.Error("somebody came from an empty queue")
	}
}
