package store

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/test/report"
)

// noDescriptors refuses to open bodies while it is on.
type noDescriptors struct{ on atomic.Bool }

func (*noDescriptors) String() string { return "no descriptors" }

func (n *noDescriptors) MaybeError(op errorfs.Op) error {
	if n.on.Load() && op.Kind == errorfs.OpOpen && strings.Contains(op.Path, "/data/") {
		return unix.EMFILE
	}
	return nil
}

// What cannot be opened for want of descriptors is not damaged: nothing is put
// aside, and who asks for it is told before an answer begins (F7).
func TestNothingIsDamagedForWantOfDescriptors(t *testing.T) {
	run := report.Start(t, "F7", 0)
	none := new(noDescriptors)
	s := fresh(t, Config{Dir: "/objects", FS: errorfs.Wrap(vfs.NewMem(), none)})
	body := bytes.Repeat([]byte("body"), 50<<10)
	store(t, s, "o", body)
	none.on.Store(true)
	run.Fault("no descriptors", 1)
	for range 3 {
		if err := s.scrub(t.Context(), 1<<30); !fault.Is(fault.OfService(err), fault.Unavailable) {
			t.Errorf("the scrubber says %v", err)
		}
	}
	if _, _, err := s.Open(t.Context(), keyOf("o")); !fault.Is(fault.OfService(err), fault.Unavailable) {
		t.Errorf("an object says %v", err)
	}
	none.on.Store(false)
	_, content, err := s.Open(t.Context(), keyOf("o"))
	if err != nil {
		t.Fatal(err)
	}
	none.on.Store(true) // what is open already is read to its end
	if got, err := io.ReadAll(content.Range(0, int64(len(body)))); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes are read, %v", len(got), err)
	}
	if _, err := io.ReadAll(content.Range(0, 1)); !fault.Is(fault.OfService(err), fault.Unavailable) {
		t.Errorf("a second reader says %v", err)
	}
	none.on.Store(false)
	if got, err := io.ReadAll(content.Range(4, 4)); err != nil || string(got) != "body" {
		t.Errorf("a third reader reads %q, %v", got, err)
	}
	if err := content.Close(); err != nil {
		t.Error(err)
	}
	if err := s.scrub(t.Context(), 1<<30); err != nil {
		t.Error(err)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
		run.Violation("%+v, %v", found, err)
	}
}
