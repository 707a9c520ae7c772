package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/internal/testcloud/world"
	"github.com/mekcloud/mek/test/report"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// TestHostile sends requests that a seed decides. MEK_HOSTILE_N says how many;
// otherwise a minute's worth in "make test", and its share of the time in "make soak".
func TestHostile(t *testing.T) {
	seed := report.Seed(t)
	r := report.Start(t, "S", seed)
	limit, n := report.Length(t, 40*time.Second), 100_000
	if text := os.Getenv("MEK_HOSTILE_N"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		limit = 100 * time.Hour
	} else if limit > time.Minute {
		n = 1 << 40
	}
	run := newRun(t, seed)
	began := now()
	warm := run.send(0, n/10, began.Add(limit/10))
	before := run.measure()
	sent := warm + run.send(warm, n-warm, began.Add(limit))
	after := run.measure()
	took := now().Sub(began)
	r.Operations(sent)
	r.Measured("requests_per_second", int(float64(sent)/took.Seconds()))
	r.Measured("slowest_ms", run.slowest.Load())
	r.Measured("statuses", run.statuses())
	r.Measured("growth", before.difference(after))
	t.Logf("%d requests in %s, slowest %d ms, %d changes: %v; grown: %v", sent, took.Round(time.Second), run.slowest.Load(), run.changes.Load(), run.statuses(), before.difference(after))
	for _, f := range run.report() {
		r.Violation("%s", f)
	}
	for _, grown := range before.growth(after, int(run.changes.Load())) {
		r.Violation("%s", grown)
	}
}

type run struct {
	t       *testing.T
	w       *world.World
	seed    uint64
	targets []*target
	ids     []string
	own     *own
	slowest atomic.Int64 // in milliseconds
	changes atomic.Int64 // that took effect

	mu     sync.Mutex
	counts map[int]int
	found  map[string]string // by what and where: the first example
	times  map[string]int
}

func newRun(t *testing.T, seed uint64) *run {
	cloud := testcloud.New(t, testcloud.Unlimited, world.Federation(t))
	r := &run{t: t, w: world.New(t, cloud), seed: seed, counts: map[int]int{}, own: &own{ids: map[string][]string{}}, found: map[string]string{}, times: map[string]int{}}
	r.ids = slices.Sorted(maps.Values(r.w.Things))
	r.ids = append(r.ids, r.w.Project, r.w.Other, r.w.Domain, r.w.People.Named("project member").UserID)
	for _, op := range r.w.Operations() {
		r.targets = append(r.targets, r.learn(op))
	}
	return r
}

// learn asks an operation with empty and with least bodies, to see what it decodes.
func (r *run) learn(op *world.Operation) *target {
	t := &target{op: op, bodies: map[reflect.Type]string{}, params: map[string]bool{}}
	oldest, newest := op.Range()
	content := op.Wrap("", world.Object{})
	for range 4 {
		trace := &rest.Trace{}
		body := content
		if !op.Mutates() {
			body = nil
		}
		q, _ := r.w.Question(op, body)
		r.w.Ask(r.w.People.Named("project admin"), q, trace, true)
		for _, p := range trace.Params {
			t.params[p] = true
		}
		for _, kind := range trace.Bodies {
			t.bodies[kind] = trace.Member
			content = op.Wrap(trace.Member, world.Minimal(kind, nil, newest, 0))
		}
	}
	if oldest != newest && op.Mutates() {
		trace := &rest.Trace{}
		q, _ := r.w.Question(op, content)
		q.Header.Set("OpenStack-API-Version", op.Service.Dialect.Versions.Types[0]+" "+oldest.String())
		r.w.Ask(r.w.People.Named("project admin"), q, trace, true)
		for _, kind := range trace.Bodies {
			t.bodies[kind] = trace.Member
		}
	}
	return t
}

// send sends requests number from, from+1 … until there were n or the time is up.
func (r *run) send(from, n int, until time.Time) int {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(n) || until.Before(now()) {
					next.Add(-1)
					return
				}
				r.one(uint64(from) + uint64(i))
			}
		})
	}
	workers.Wait()
	return int(next.Load())
}

func (r *run) one(number uint64) {
	d := &dice{rand.New(rand.NewPCG(r.seed, number)), r.w, r.ids, r.own, false}
	if d.chance(4) {
		r.object(d, number)
		return
	}
	t := r.targets[d.IntN(len(r.targets))]
	a := d.attack(t, r.w.People)
	trace := &rest.Trace{}
	began := now()
	answer := r.guarded(a, trace, number, func() *httptest.ResponseRecorder { return r.w.Ask(a.who, a.q, trace, a.rehearse) })
	if answer == nil {
		return
	}
	took := now().Sub(began).Milliseconds()
	for old := r.slowest.Load(); took > old && !r.slowest.CompareAndSwap(old, took); old = r.slowest.Load() {
	}
	r.count(answer.Code)
	if login := strings.HasSuffix(t.op.Route.Path, "tokens"); !a.rehearse && t.op.Mutates() && (answer.Code < 300 || login) {
		r.changes.Add(1) // a login is recorded also when it fails
	}
	if !a.rehearse && answer.Code < 300 && a.q.Method == "POST" {
		r.own.made(t.op, answer.Body.Bytes())
	}
	if what := fault(t.op, a, trace, answer); what != "" {
		r.note(what, number, a, trace, answer)
	}
}

func (r *run) count(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[status]++
}

// guarded sends one request; a panic that nobody caught is noted.
func (r *run) guarded(a attack, trace *rest.Trace, number uint64, send func() *httptest.ResponseRecorder) (answer *httptest.ResponseRecorder) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				return
			}
			stack := make([]byte, 4000)
			r.note(fmt.Sprintf("panic %v: %s", p, stack[:runtime.Stack(stack, false)]), number, a, trace, nil)
			answer = nil
		}
	}()
	return send()
}

func (r *run) note(what string, number uint64, a attack, trace *rest.Trace, answer *httptest.ResponseRecorder) {
	where := a.q.Method + " (no route)"
	if trace.Route != nil {
		where = trace.Route.Method + " " + trace.Route.Path + " " + trace.Action
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := where + ": " + what
	r.times[key]++
	if r.found[key] != "" {
		return
	}
	body := ""
	if answer != nil {
		body = answer.Body.String()
	}
	r.found[key] = fmt.Sprintf("request %d of seed %d\n\t%s %.300q %v\n\tbody %.600q\n\tanswer %.300s\n\tcause %.1500v", number, r.seed, a.q.Method, a.q.Path, headersOf(a.q), a.q.Body, body, trace.Failure)
}

func headersOf(q world.Question) string {
	var b strings.Builder
	for name, values := range q.Header {
		fmt.Fprintf(&b, "%s: %.80q ", name, values)
	}
	return b.String()
}

func (r *run) report() []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(r.found)) {
		out = append(out, fmt.Sprintf("%d times %s\n\t%s", r.times[key], key, r.found[key]))
	}
	return out
}

func (r *run) statuses() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for code, n := range r.counts {
		out[strconv.Itoa(code)] = n
	}
	return out
}

// inside is what an answer must not tell.
var inside = regexp.MustCompile(`goroutine \d|runtime error|\.go:\d+|/tmp/|/var/lib|/root/|SQL logic|SQLSTATE|sqlite|pgx|(?i:syntax error)|no such column|constraint failed|invalid memory`)

// documented are reasons that Cinder gives with 503: its clients know them so.
var documented = regexp.MustCompile(`(Host|Cluster) '(?s:.*)' not found|Service (?s:.*) could not be found`)

// fault says what is wrong with an answer, or nothing.
func fault(op *world.Operation, a attack, trace *rest.Trace, answer *httptest.ResponseRecorder) string {
	cause := fmt.Sprint(trace.Failure)
	switch {
	case answer.Code == http.StatusNotImplemented || a.rehearse && strings.Contains(cause, db.ErrRehearsed.Text):
		return ""
	case answer.Code == http.StatusServiceUnavailable && documented.MatchString(cause):
		return ""
	case answer.Code >= 500:
		return fmt.Sprintf("status %d", answer.Code)
	case answer.Code < 400:
		return ""
	}
	body := answer.Body.Bytes()
	if m := inside.Find(body); m != nil && !bytes.Contains(a.q.Body, m) && !strings.Contains(a.q.Path, string(m)) {
		return "tells what is inside: " + string(m)
	}
	if a.q.Method != http.MethodHead && op.Service.Name != "swift" && op.Service.Name != "glance" && op.Service.Name != "placement" && !isObject(body) {
		return fmt.Sprintf("status %d without an error in the body", answer.Code)
	}
	return ""
}

func isObject(body []byte) bool {
	var members map[string]any
	return json.Unmarshal(body, &members) == nil && len(members) > 0
}

func now() time.Time { return clock.Real{}.Now() }
