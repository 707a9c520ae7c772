package memo_test

import (
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/memo"
)

func TestOf(t *testing.T) {
	var mu sync.Mutex
	calls := map[int]int{}
	double := memo.Of(func(n int) *int {
		mu.Lock()
		defer mu.Unlock()
		calls[n]++
		n *= 2
		return &n
	})
	first := double(4)
	if again := double(4); *first != 8 || again != first || calls[4] != 1 {
		t.Errorf("%d, then another, after %d calls", *first, calls[4])
	}
	var all sync.WaitGroup
	got := make([]*int, 8)
	for i := range got {
		all.Go(func() { got[i] = double(5) })
	}
	all.Wait()
	for _, g := range got {
		if g != got[0] || *g != 10 {
			t.Errorf("%v: not one answer for all", got)
		}
	}
}
