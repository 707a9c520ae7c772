package matrix

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var update = flag.Bool("update", false, "write the table of what was found")

const golden = "testdata/matrix.txt"

// row is one line of the table: what each person is answered.
type row struct {
	line     string // as "mek routes" lists it
	rule     string
	op       *world.Operation // nil: of object storage
	body     []byte
	letters  []byte
	prepares bool // asking it changes what is stored, whatever the answer
	ask      func(p *world.Person, rehearse bool) byte
}

// TestMatrix asks each operation as each person. In a rehearsal first, so that
// nothing is used up, and what is refused once more for real: it must be refused
// again, and leave the database as it is.
func TestMatrix(t *testing.T) {
	cloud := testcloud.New(t, testcloud.Unlimited, world.Federation(t))
	w := world.New(t, cloud)
	rows := rehearse(w)
	refuse(t, w, rows)
	foreign(t, w, rows)
	objects := append(swiftRows(w), s3Rows(w)...)
	for _, r := range objects {
		for _, p := range w.People {
			r.letters = append(r.letters, r.ask(p, false))
		}
	}
	all := slices.Concat(rows, objects)
	text := table(w, all)
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else {
		compare(t, text)
	}
	uncovered(t, all)
	nobody(t, w, all)
	refuseObjects(t, w, objects)
}

// inParallel calls fn for each row.
func inParallel(rows []*row, fn func(*row)) {
	todo := make(chan *row)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for r := range todo {
				fn(r)
			}
		})
	}
	for _, r := range rows {
		todo <- r
	}
	close(todo)
	workers.Wait()
}

func rehearse(w *world.World) []*row {
	var rows []*row
	for _, op := range w.Operations() {
		if op.Service.Name != "swift" {
			rows = append(rows, &row{op: op, line: op.Line, rule: op.Rule()})
		}
	}
	inParallel(rows, func(r *row) {
		r.body = body(w, r.op)
		q := question(w, r)
		r.ask = func(p *world.Person, rehearse bool) byte {
			trace := &rest.Trace{}
			return letter(w.Ask(p, q, trace, rehearse).Code, trace, r.op)
		}
		for _, p := range w.People {
			r.letters = append(r.letters, r.ask(p, true))
		}
	})
	return rows
}

// question is a row's request; the body may say its media type.
func question(w *world.World, r *row) world.Question {
	kind, content, told := strings.Cut(string(r.body), "\n")
	if !told {
		q, _ := w.Question(r.op, r.body)
		return q
	}
	q, _ := w.Question(r.op, []byte(content))
	q.Header.Set("Content-Type", kind)
	return q
}

// The letters of the table.
const (
	allowed   = 'Y' // the rule let the caller pass, and the handler got to its end
	open      = 'O' // no rule guards the operation
	nameless  = '-' // 401
	forbidden = 'F' // 403
	absent    = 'N' // 404: what the caller may not see is not there
	within    = 'f' // the operation's rule allowed it, and a further one refused
	empty     = 'n' // the rule allowed it, and there is nothing for this caller
	keyless   = '.' // such a caller cannot have keys to sign with
	unknown   = '?' // answered before any rule was asked
)

func letter(status int, trace *rest.Trace, op *world.Operation) byte {
	passed := trace.Asked && trace.Allowed
	switch {
	case status == http.StatusUnauthorized:
		return nameless
	case status == http.StatusForbidden && passed:
		return within
	case status == http.StatusForbidden:
		return forbidden
	case status == http.StatusNotFound && passed:
		return empty
	case status == http.StatusNotFound:
		return absent
	case op.Route.Open:
		return open
	case passed || status < 300:
		return allowed
	}
	return unknown
}

// refused tells whether a letter stands for a refusal.
func refused(letter byte) bool { return strings.IndexByte("-FNfn", letter) >= 0 }

// body finds a request that gets past the policy: by the table of bodies, else
// by learning from the handler what it decodes.
func body(w *world.World, op *world.Operation) []byte {
	if text, ok := bodies(w)[op.Line]; ok {
		return []byte(text)
	}
	if !op.Mutates() || op.Route.Method == http.MethodDelete {
		return nil
	}
	_, newest := op.Range()
	content := op.Wrap("", world.Object{})
	for range 3 {
		q, _ := w.Question(op, content)
		trace := &rest.Trace{}
		for _, name := range []string{"project admin", "project member", "system admin"} {
			trace = &rest.Trace{}
			w.Ask(w.People.Named(name), q, trace, true)
			if trace.Asked && trace.Allowed {
				return content
			}
		}
		if len(trace.Bodies) == 0 {
			return content
		}
		content = op.Wrap(trace.Member, world.Minimal(trace.Bodies[len(trace.Bodies)-1], nil, newest, 0))
	}
	return content
}

func table(w *world.World, rows []*row) string {
	var b strings.Builder
	b.WriteString("# Who may do what: each operation as each kind of caller, as found by asking. Made by\n# go test ./test/matrix -update; read docs/security.md for the letters.\n#\n")
	for _, p := range w.People {
		fmt.Fprintf(&b, "# %c %s\n", p.Letter, p.Name)
	}
	b.WriteString("#\n# ")
	for _, p := range w.People {
		b.WriteByte(p.Letter)
	}
	b.WriteString("\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s  %s  %s\n", r.letters, r.line, r.rule)
	}
	return b.String()
}

// compare shows each line that changed, old and new.
func compare(t *testing.T, text string) {
	t.Helper()
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	byLine := func(text string) map[string]string {
		out := map[string]string{}
		for line := range strings.Lines(text) {
			letters, op, ok := strings.Cut(strings.TrimRight(line, "\n"), "  ")
			if ok && line[0] != '#' {
				out[op] = letters
			}
		}
		return out
	}
	before, now := byLine(string(want)), byLine(text)
	for _, line := range slices.Sorted(keys(before, now)) {
		if before[line] != now[line] {
			t.Errorf("%s\n  was %s\n  is  %s", line, before[line], now[line])
		}
	}
}

func keys(a, b map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range []map[string]string{a, b} {
			for k := range m {
				if !seen[k] && !yield(k) {
					return
				}
				seen[k] = true
			}
		}
	}
}

// nobody fails where a dead token, or none, gets past a rule: no table excuses that.
func nobody(t *testing.T, w *world.World, rows []*row) {
	t.Helper()
	for _, r := range rows {
		for i, p := range w.People {
			dead := slices.Contains([]string{"anonymous", "expired", "revoked", "disabled user", "disabled project", "disabled domain"}, p.Name)
			if dead && !strings.ContainsRune("-FNO.", rune(r.letters[i])) {
				t.Errorf("%s: %s is answered %c", r.line, p.Name, r.letters[i])
			}
		}
	}
}

// uncovered fails for operations that no person got through, unless they are
// listed with the reason; and for listed ones that somebody got through.
func uncovered(t *testing.T, rows []*row) {
	t.Helper()
	list := map[string]bool{}
	content, err := os.ReadFile("testdata/uncovered.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if op, _, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && line[0] != '#' {
			list[op] = true
		}
	}
	for _, r := range rows {
		through := strings.ContainsAny(string(r.letters), "YOf") && !strings.Contains(string(r.letters), "?")
		switch {
		case !through && !list[r.line]:
			t.Errorf("nobody gets through: %s  %s  body %.200s", r.letters, r.line, r.body)
		case through && list[r.line]:
			t.Errorf("listed as uncovered, but covered: %s", r.line)
		}
	}
}

// refuse repeats what was refused without a rehearsal.
func refuse(t *testing.T, w *world.World, rows []*row) {
	t.Helper()
	before := settled(t, w)
	for chunk := range slices.Chunk(rows, 60) {
		inParallel(chunk, func(r *row) {
			for i, p := range w.People {
				if !refused(r.letters[i]) {
					continue
				}
				if got := r.ask(p, false); got != r.letters[i] {
					t.Errorf("%s as %s: %c, and %c in the rehearsal", r.line, p.Name, got, r.letters[i])
				}
			}
		})
		after := digest(t, w)
		for _, name := range changed(before, after) {
			t.Errorf("refused requests changed %s: one of %s … %s", name, chunk[0].line, chunk[len(chunk)-1].line)
		}
		before = after
	}
}
