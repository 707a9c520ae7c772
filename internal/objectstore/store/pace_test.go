package store

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/pace"
	"github.com/mekcloud/mek/internal/pace/pacetest"
)

// TestPiecesWhileOthersAsk (I-36): beside others an object is hashed and written
// a piece a turn, whole, on a disk and where files have no descriptors.
func TestPiecesWhileOthersAsk(t *testing.T) {
	content, err := io.ReadAll(newBody(1<<20 + 17))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{"disk": {}, "memory": {FS: vfs.NewMem(), Dir: "/objects"}} {
		t.Run(name, func(t *testing.T) {
			s, turns := fresh(t, c), &pacetest.Crowd{}
			ctx := pace.With(context.Background(), turns)
			if _, err := s.Put(ctx, objectstore.Put{Key: keyOf("o"), Size: int64(len(content))}, bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			const pieces = 1<<20/pace.Piece + 1
			if turns.Worked.Load() != pieces || turns.Wrote.Load() != pieces+1 { // and the flush
				t.Errorf("hashed in %d turns, want %d; written in %d, want one more", turns.Worked.Load(), pieces, turns.Wrote.Load())
			}
			_, got, err := s.Open(ctx, keyOf("o"))
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			b, err := io.ReadAll(got.Range(0, int64(len(content))))
			if err != nil || !bytes.Equal(b, content) {
				t.Errorf("%d bytes came, %v", len(b), err)
			}
		})
	}
}
