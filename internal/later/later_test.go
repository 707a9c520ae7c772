package later_test

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/later"
)

func TestWhatWaitsIsDoneOnceAndThenAtOnce(t *testing.T) {
	did := 0
	count := func() { did++ }
	later.Do(t.Context(), count)
	if did != 1 {
		t.Fatal("without a request nobody is waited for")
	}
	ctx, list := later.With(context.WithoutCancel(t.Context()))
	if list.Waits() {
		t.Error("nothing waits yet")
	}
	later.Do(ctx, count)
	if did != 1 || !list.Waits() {
		t.Fatal("done before the answer")
	}
	list.Run()
	list.Run()
	if did != 2 || list.Waits() {
		t.Fatalf("done %d times, want 2", did)
	}
	later.Do(ctx, count)
	if did != 3 {
		t.Error("after the answer nothing waits")
	}
	var none *later.List
	none.Run()
	if none.Waits() {
		t.Error("no list has nothing")
	}
}
