package fault_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

func TestWhatAShortageMeans(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{fmt.Errorf("write: %w", &os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}), fault.Conflict},
		{errors.Join(errors.New("x"), syscall.EDQUOT), fault.Conflict},
		{fmt.Errorf("open: %w", syscall.EMFILE), fault.Unavailable},
		{fmt.Errorf("fork/exec: %w", syscall.EAGAIN), fault.Unavailable},
		{fmt.Errorf("fork/exec: %w", syscall.ENOMEM), fault.Unavailable},
		{syscall.EIO, fault.Internal},
		{fault.Invalidf("no").Because(syscall.ENOSPC), fault.Invalid},
	} {
		if got := fault.OfHost(c.err); fault.KindOf(got) != c.want || !errors.Is(got, c.err) {
			t.Errorf("%v is told as %v", c.err, got)
		}
	}
	if fault.OfHost(nil) != nil {
		t.Error("no error became one")
	}
}
