package linktest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Section is the one that the suite uses.
const Section hostlink.Section = "shelf"

// Shelf is an applier that keeps words under names: a host's driver without a
// host. A word "slow" waits for Release, "broken" fails.
type Shelf struct {
	mu       sync.Mutex
	words    map[string]string
	failed   map[string]string
	applies  int
	runs     map[string]int // by token
	released chan struct{}
	report   func(...hostlink.ObjectReport)
}

// NewShelf makes an empty shelf.
func NewShelf() *Shelf {
	return &Shelf{words: map[string]string{}, failed: map[string]string{}, runs: map[string]int{}, released: make(chan struct{})}
}

// Body is what a document of the section says.
type Body struct {
	Words []Word `json:"words"`
}

// Word is one of its objects.
type Word struct {
	ID   string `json:"id"`
	Word string `json:"word"`
}

// BodyOf is a document with words by their names.
func BodyOf(words map[string]string) Body {
	out := Body{Words: []Word{}}
	for _, name := range slices.Sorted(maps.Keys(words)) {
		out.Words = append(out.Words, Word{name, words[name]})
	}
	return out
}

// Release lets slow words proceed.
func (s *Shelf) Release() { close(s.released) }

// Words copies what is on the shelf.
func (s *Shelf) Words() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.words)
}

// Applies counts calls of Apply.
func (s *Shelf) Applies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applies
}

// Runs counts how often the command of a token was run.
func (s *Shelf) Runs(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[token]
}

// Lose takes a word away behind everybody's back and reports it, as a guest that stopped.
func (s *Shelf) Lose(name string) {
	s.mu.Lock()
	s.words[name] = "lost"
	report := s.report
	s.mu.Unlock()
	report(object(name, "lost"))
}

func object(name, word string) hostlink.ObjectReport {
	raw, _ := json.Marshal(word) // a string: cannot fail
	return hostlink.ObjectReport{ID: name, Phase: hostlink.Ready, Facts: raw}
}

// Apply makes the shelf as the document says.
func (s *Shelf) Apply(ctx context.Context, doc hostlink.Document, report func(...hostlink.ObjectReport)) error {
	var body Body
	if err := json.Unmarshal(doc.Body, &body); err != nil {
		return err
	}
	want := map[string]string{}
	for _, o := range body.Words {
		want[o.ID] = o.Word
	}
	s.mu.Lock()
	s.applies++
	s.report = report
	var gone []string
	for name := range s.words {
		if _, ok := want[name]; !ok {
			gone = append(gone, name)
			delete(s.words, name)
		}
	}
	s.mu.Unlock()
	for _, name := range gone {
		report(hostlink.ObjectReport{ID: name, Phase: hostlink.Absent})
	}
	for name, word := range want {
		switch word {
		case "slow":
			report(hostlink.ObjectReport{ID: name, Phase: hostlink.Pending})
			select {
			case <-s.released:
			case <-ctx.Done():
				return ctx.Err()
			}
		case "broken":
			report(hostlink.ObjectReport{ID: name, Phase: hostlink.Failed, Error: "it is broken"})
			continue
		}
		s.mu.Lock()
		same := s.words[name] == word
		s.words[name] = word
		s.mu.Unlock()
		if !same {
			report(object(name, word))
		}
	}
	return nil
}

// Inventory lists the shelf.
func (s *Shelf) Inventory(context.Context) ([]hostlink.ObjectReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []hostlink.ObjectReport
	for name, word := range s.words {
		list = append(list, object(name, word))
	}
	return list, nil
}

// Command counts runs: "count" answers how many there were, "refuse" fails, "busy" is Unavailable once.
func (s *Shelf) Command(_ context.Context, cmd hostlink.Command) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[cmd.Token]++
	switch {
	case cmd.Verb == "refuse":
		return nil, fault.Conflictf("not now").With("Refused")
	case cmd.Verb == "busy" && s.runs[cmd.Token] == 1:
		return nil, fault.Unavailablef("busy")
	}
	return json.Marshal(map[string]int{"runs": s.runs[cmd.Token]})
}

// Stream "echo" gives back what it gets; "torn" breaks in the middle.
func (s *Shelf) Stream(_ context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error) {
	switch kind {
	case "echo":
		return newEcho(), nil
	case "torn":
		return &torn{}, nil
	case "params":
		return &words{rest: params}, nil
	}
	return nil, fault.NotFoundf("a shelf has no streams of kind %q", kind)
}

// echo is a pipe whose end meets itself.
type echo struct {
	*io.PipeReader
	w *io.PipeWriter
}

func newEcho() *echo {
	r, w := io.Pipe()
	return &echo{r, w}
}

func (e *echo) Write(b []byte) (int, error) { return e.w.Write(b) }
func (e *echo) CloseWrite() error           { return e.w.Close() }
func (e *echo) Close() error                { return errors.Join(e.w.Close(), e.PipeReader.Close()) }

// words can be read once.
type words struct{ rest []byte }

func (w *words) Read(b []byte) (int, error) {
	if len(w.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *words) Write(b []byte) (int, error) { return len(b), nil }
func (w *words) Close() error                { return nil }

// torn gives some bytes, then fails.
type torn struct{ n int }

func (t *torn) Read(b []byte) (int, error) {
	if t.n++; t.n > 3 {
		return 0, errors.New("the disk is gone")
	}
	return copy(b, "some bytes "), nil
}

func (t *torn) Write(b []byte) (int, error) { return len(b), nil }
func (t *torn) Close() error                { return nil }
