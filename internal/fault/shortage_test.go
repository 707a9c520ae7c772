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
	for _, err := range []error{syscall.ENOSPC, syscall.EMFILE} {
		if got := fault.OfService(fault.Internalf("x: %w", err)); !fault.Is(got, fault.Unavailable) || !errors.Is(got, err) {
			t.Errorf("%v is told as %v", err, got)
		}
	}
	if got := fault.OfService(syscall.EIO); !fault.Is(got, fault.Internal) {
		t.Errorf("a broken disk is told as %v", got)
	}
	if fault.OfHost(nil) != nil || fault.OfService(nil) != nil {
		t.Error("no error became one")
	}
}
