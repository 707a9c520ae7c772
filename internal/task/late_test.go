package task_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

// A timeout among the causes of a refusal does not make it worth another try;
// the step's own does, and one that nobody has said the meaning of.
func TestWhoseTimeoutIsTriedAgain(t *testing.T) {
	gaveUp := fmt.Errorf("something far away: %w", context.DeadlineExceeded)
	for name, c := range map[string]struct {
		err   error
		late  bool
		tries int
	}{
		"refused because of a timeout elsewhere":        {err: fault.Conflictf("no").Because(gaveUp), tries: 1},
		"invalid because somebody cancelled":            {err: fault.Invalidf("no").Because(context.Canceled), tries: 1},
		"unavailable":                                   {err: fault.Unavailablef("not now").Because(gaveUp), tries: 2},
		"a timeout elsewhere that nobody has looked at": {err: gaveUp, tries: 2},
		"the step's own time is over":                   {err: fault.Conflictf("no").Because(gaveUp), late: true, tries: 2},
		"broken":                                        {err: errors.New("broken"), tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				s := alone(t, clock.Real{}, task.Saga[struct{}, struct{}]{Name: "test.late", Steps: []task.Step[struct{}, struct{}]{
					{Name: "try", Timeout: time.Second, Do: func(ctx context.Context, _ *task.Run[struct{}, struct{}]) error {
						if tries++; tries > 1 {
							return nil
						}
						if c.late {
							<-ctx.Done()
						}
						return c.err
					}}}})
				s.end()
				if tries != c.tries {
					t.Errorf("%d tries, not %d", tries, c.tries)
				}
			})
		})
	}
}
