package beside_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/beside"
)

func TestDo(t *testing.T) {
	done := make([]bool, 3)
	part := func(i int, err error) func() error {
		return func() error { done[i] = true; return err }
	}
	if err := beside.Do(part(0, nil), part(1, nil), part(2, nil)); err != nil || !done[0] || !done[1] || !done[2] {
		t.Fatalf("%v %v", done, err)
	}
	bad := errors.New("bad")
	for i := range 3 {
		all := []func() error{part(0, nil), part(1, nil), part(2, nil)}
		all[i] = part(i, bad)
		if err := beside.Do(all...); !errors.Is(err, bad) {
			t.Errorf("part %d: %v", i, err)
		}
		all[i] = func() error { panic("lost") }
		if err := beside.Do(all...); err == nil || !strings.Contains(err.Error(), "panic: lost") {
			t.Errorf("part %d that panics: %v", i, err)
		}
	}
}

// TestTogether has two parts that each wait for the other.
func TestTogether(t *testing.T) {
	a, b := make(chan int), make(chan int)
	err := beside.Do(func() error { a <- 1; <-b; return nil }, func() error { <-a; b <- 1; return nil })
	if err != nil {
		t.Fatal(err)
	}
}
