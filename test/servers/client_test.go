package servers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/test/report"
)

type object = map[string]any

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func ask(c *http.Client, method, url, token, key string, body any) (answer, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, url, content)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if _, raw := body.([]byte); raw {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	r.Header.Set("OpenStack-API-Version", "compute 2.93")
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	if key != "" {
		r.Header.Set(rest.KeyHeader, key)
	}
	got, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, text}, err
}

func login(c *http.Client, door string) (string, error) {
	a, err := ask(c, http.MethodPost, door+"/identity/v3/auth/tokens", "", "", credentials())
	if err == nil && a.status != http.StatusCreated {
		err = fmt.Errorf("login: %d %s", a.status, a.body)
	}
	return a.header.Get("X-Subject-Token"), err
}

func credentials() object {
	domain := object{"id": "default"}
	return object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": "admin", "password": password, "domain": domain}}},
		"scope":    object{"project": object{"name": "admin", "domain": domain}}}}
}

// tried is one request and what came of it.
type tried struct {
	at      time.Time
	took    time.Duration // of the first attempt
	failed  bool          // the first attempt
	twice   bool          // the second as well
	told    bool          // the second was 503 with Retry-After
	excused bool          // it was for objects, and the server that has them open hung
	what    string
}

// user sends requests through the front and repeats each that fails once.
type user struct {
	t     *testing.T
	door  string
	http  *http.Client
	run   *report.Run
	token string

	excuse func(path string) bool

	mu  *sync.Mutex
	log *[]tried
}

// patience is how long a client waits for an answer.
const patience = 8 * time.Second

func newUser(t *testing.T, door string) *user {
	return &user{t: t, door: door, mu: new(sync.Mutex), log: new([]tried),
		http: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}} // each request goes to the next server
}

// beside is another client of the same log.
func (u *user) beside() *user {
	other := *u
	return &other
}

// do sends a request, and once more when it fails. key makes both one.
func (u *user) do(method, path, key string, body any) answer {
	begun := time.Now()
	a, err := ask(u.http, method, u.door+path, u.token, key, body)
	r := tried{at: begun, took: time.Since(begun), failed: bad(a, err), what: method + " " + path}
	if r.failed {
		first := say(a, err)
		after, _ := strconv.Atoi(a.header.Get("Retry-After")) // absent: at once
		time.Sleep(max(100*time.Millisecond, time.Duration(after)*time.Second))
		a, err = ask(u.http, method, u.door+path, u.token, key, body)
		r.twice = bad(a, err)
		r.excused = u.excuse != nil && u.excuse(path)
		r.told = err == nil && a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
		r.what += ": " + first + "; again: " + say(a, err)
	}
	u.mu.Lock()
	*u.log = append(*u.log, r)
	u.mu.Unlock()
	return a
}

func say(a answer, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %.300s", a.status, a.body)
}

func bad(a answer, err error) bool { return err != nil || a.status >= 500 }

// since gives the requests that were begun in a time.
func (u *user) since(from, to time.Time) []tried {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []tried
	for _, r := range *u.log {
		if !r.at.Before(from) && r.at.Before(to) {
			out = append(out, r)
		}
	}
	return out
}

func median(all []tried) float64 {
	if len(all) == 0 {
		return 0
	}
	took := make([]time.Duration, len(all))
	for i, r := range all {
		took[i] = r.took
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Microseconds()) / 1000
}

// get picks a member of a JSON body, by path.
func (a answer) get(path ...string) any {
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return nil
	}
	for _, p := range path {
		m, _ := v.(map[string]any) // something else has no members
		v = m[p]
	}
	return v
}

func (a answer) text(path ...string) string {
	s, _ := a.get(path...).(string)
	return s
}

func (a answer) list(name string) []any {
	l, _ := a.get(name).([]any)
	return l
}
