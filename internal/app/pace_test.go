package app

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/mekcloud/mek/internal/admission"
)

// TestPiecesOfLargeBodies: a small body passes beside large ones; of the large
// ones a piece at a time is worked on, in turns, and none waits for ever.
func TestPiecesOfLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := admission.NewLine(func() int { return 1 })
		body := func(who string, size int) *paced {
			return &paced{ReadCloser: io.NopCloser(bytes.NewReader(make([]byte, size))), ctx: context.Background(), line: line, who: who}
		}
		first, second := body("a", 10*freely), body("b", 10*freely)
		piece := make([]byte, freely)
		if n, err := first.Read(piece); n != freely || err != nil {
			t.Fatal(n, err)
		}
		if first.leave == nil {
			t.Fatal("a large body has no place")
		}
		if n, err := io.Copy(io.Discard, body("c", freely-1)); n != freely-1 || err != nil {
			t.Errorf("a small body: %d %v", n, err)
		}
		done := make(chan bool)
		go func() {
			_, _ = second.Read(piece)
			done <- second.leave != nil
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("two pieces are worked on at once")
		default:
		}
		if _, err := first.Read(piece); err != nil { // gives its place to the other, and waits until it may go on without
			t.Fatal(err)
		}
		if !<-done {
			t.Error("the other has no place")
		}
		if first.leave != nil {
			t.Error("both have places")
		}
		second.rest()
		if n, err := io.Copy(io.Discard, first); n != 8*freely || err != nil || first.leave != nil {
			t.Errorf("the rest: %d %v", n, err)
		}
	})
}
