package app

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mekcloud/mek/internal/admission"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/pace"
)

// crowd is traffic on two processors, while others ask or not.
func crowd(others bool) *traffic { return newTraffic(func() bool { return others }, 2) }

func of(t *traffic, who string) *turnstile {
	return &turnstile{Turn: &admission.Turn{}, traffic: t, caller: who}
}

// TestPiecesOfLargeBodies: a small body passes beside large ones; of the large
// ones a piece at a time is worked on, in turns, and none waits for ever.
func TestPiecesOfLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := crowd(true)
		body := func(who string, size int) (io.Reader, *flow) {
			ctx, r, release := of(all, who).Pace(context.Background(), io.NopCloser(bytes.NewReader(make([]byte, size))))
			t.Cleanup(release)
			return r, pace.Of(ctx).(*flow)
		}
		first, a := body("a", 10*freely)
		second, b := body("b", 10*freely)
		piece := make([]byte, freely)
		if n, err := first.Read(piece); n != freely || err != nil {
			t.Fatal(n, err)
		}
		if a.leave == nil {
			t.Fatal("a large body has no place")
		}
		small, c := body("c", freely-1)
		if n, err := io.Copy(io.Discard, small); n != freely-1 || err != nil || c.leave != nil {
			t.Errorf("a small body: %d %v", n, err)
		}
		done := make(chan bool)
		go func() {
			_, _ = second.Read(piece)
			done <- true
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("two pieces are worked on at once")
		default:
		}
		a.Rest() // as who waits for something else does
		<-done
		if b.leave == nil {
			t.Error("the other has no place")
		}
		now := clock.Real{}
		began := now.Now()
		if _, err := first.Read(piece); err != nil { // b stands still, and loses its place
			t.Fatal(err)
		}
		if waited := now.Now().Sub(began); waited != longestTurn {
			t.Errorf("a piece waited %v for one that stands still", waited)
		}
		b.Rest()
		if n, err := io.Copy(io.Discard, first); n != 8*freely || err != nil {
			t.Errorf("the rest: %d %v", n, err)
		}
	})
}

// TestAnswersGoInPieces: a large answer takes its turns, whole and in order.
func TestAnswersGoInPieces(t *testing.T) {
	content := make([]byte, 3*pieceSize+17)
	for i := range content {
		content[i] = byte(i >> 9)
	}
	for _, others := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			for name, send := range map[string]func(w io.Writer) error{
				"written": func(w io.Writer) error { _, err := w.Write(content); return err },
				"copied":  func(w io.Writer) error { _, err := io.Copy(w, bytes.NewBuffer(content)); return err },
				"limited": func(w io.Writer) error {
					_, err := io.Copy(w, &io.LimitedReader{R: &endless{b: content}, N: int64(len(content))})
					return err
				},
			} {
				got := httptest.NewRecorder()
				w, release := of(crowd(others), "a").Send(context.Background(), got)
				if err := send(w); err != nil || !bytes.Equal(got.Body.Bytes(), content) {
					t.Errorf("%s: %d bytes came, %v", name, got.Body.Len(), err)
				}
				if f := w.(*answer).flow; (f.leave != nil) != others || f.moved != int64(len(content)) {
					t.Errorf("%s: others %v, has a place: %v, %d bytes", name, others, f.leave != nil, f.moved)
				}
				release()
			}
		})
	}
}

// TestStepsGoInTurns (I-36): while others ask, one step of a saga works at a time,
// in turn with other projects' and with pieces of bodies; one that waits for a
// host holds nobody up for long.
func TestStepsGoInTurns(t *testing.T) {
	for _, others := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			all, until := crowd(others), make(chan struct{})
			at := make(chan string, 8)
			step := func(project string) {
				defer all.step(context.Background(), project)()
				at <- project
				<-until
			}
			go step("a")
			synctest.Wait()
			for _, project := range []string{"a", "a", "b"} {
				go step(project)
				synctest.Wait()
			}
			if want := map[bool]int{false: 4, true: 1}[others]; len(at) != want {
				t.Errorf("others %v: %d steps at once, want %d", others, len(at), want)
			}
			now := clock.Real{}
			began := now.Now()
			order := ""
			for range 4 {
				order += <-at
			}
			if waited := now.Now().Sub(began); others && (order != "aaba" || waited != 3*longestTurn) {
				t.Errorf("they began in the order %s in %v", order, waited)
			}
			close(until)
			synctest.Wait()
		})
	}
}

// endless is bytes, and more after them.
type endless struct{ b []byte }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.b)
	e.b = e.b[n:]
	if n == 0 {
		clear(p)
		n = len(p)
	}
	return n, nil
}

// TestWorkGoesInTurns: while others ask, one piece of work and one flush at a
// time; alone, all at once.
func TestWorkGoesInTurns(t *testing.T) {
	for _, others := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			all, until := crowd(others), make(chan struct{})
			var working, flushing atomic.Int32
			for _, who := range []string{"a", "a", "b"} {
				f := of(all, who).flow(context.Background())
				go f.Work(func() { working.Add(1); <-until })
				go func() { _ = f.Disk(func() error { flushing.Add(1); <-until; return nil }) }()
			}
			synctest.Wait()
			want := int32(3)
			if others {
				want = 1
			}
			if working.Load() != want || flushing.Load() != want {
				t.Errorf("others %v: %d work and %d flush at once, want %d", others, working.Load(), flushing.Load(), want)
			}
			close(until)
			synctest.Wait()
			if working.Load() != 3 || flushing.Load() != 3 {
				t.Errorf("others %v: of 3 only %d worked and %d flushed", others, working.Load(), flushing.Load())
			}
		})
	}
}
