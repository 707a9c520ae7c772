package acceptance

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
	"github.com/mekcloud/mek/test/report"
)

const (
	objectWorkers = 6
	objectNames   = 12 // per worker
)

// TestObjectKills kills the server at random while objects of all sizes are put,
// copied and deleted. What was acknowledged is there, whole; what was not
// answered happened or did not; and no byte is left that belongs to nothing.
func TestObjectKills(t *testing.T) {
	seed := report.Seed(t)
	r := report.Start(t, "F5", seed)
	end := time.Now().Add(report.Length(t, 0))
	c := newCloud(t, "--simulate", "1", "--bare")
	o := newObjectStorm(c)
	o.report = r
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for n := range objectWorkers {
		workers.Go(func() { o.work(ctx, n, rand.New(rand.NewPCG(seed, uint64(n)))) })
	}
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	o.kill(rand.New(rand.NewPCG(seed, 99)), rounds, end)
	stop()
	workers.Wait()
	o.untilReady()
	o.verify()
	t.Logf("%d changes were acknowledged, %d had no answer", o.acked.Load(), o.unanswered.Load())
	if o.acked.Load() < 100 || o.unanswered.Load() < int64(rounds) {
		t.Error("there was not enough to do")
	}
	c.until("doctor finds nothing", 30*time.Second, func() (bool, string) {
		code, out := c.exit("doctor", "--json")
		return code == 0, out
	})
}

// objectStorm is a cloud whose server dies, and what is known of its objects.
type objectStorm struct {
	*cloud
	k                 *killing
	http              *http.Client
	report            *report.Run
	root, token, base string
	mu                sync.Mutex
	known             map[string][]string // by name: sums that it may have, "" for none
	killed            int                 // the last process: it may be seen until its end
	acked, unanswered atomic.Int64
}

func newObjectStorm(c *cloud) *objectStorm {
	c.t.Helper()
	conf, err := config.Load(c.data, nil, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	entries, err := cloudsyaml.Read(filepath.Join(c.data, "clouds.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	o := &objectStorm{cloud: c, k: &killing{cloud: c, conf: conf}, known: map[string][]string{}, http: &http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{DialContext: c.inside, MaxIdleConnsPerHost: objectWorkers, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
	e := entries["admin"]
	o.root = strings.TrimSuffix(e.Auth.AuthURL, "/identity/v3")
	login := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"domain":{"id":"default"},"password":%q}}},
		"scope":{"project":{"name":%q,"domain":{"id":"default"}}}}}`, e.Auth.Username, e.Auth.Password, e.Auth.ProjectName)
	resp, err := o.http.Post(o.root+"/identity/v3/auth/tokens", "application/json", strings.NewReader(login))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		Token struct{ Project struct{ ID string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil || resp.StatusCode != http.StatusCreated {
		c.t.Fatal(resp.Status, err)
	}
	o.token, o.base = resp.Header.Get("X-Subject-Token"), o.root+"/v1/AUTH_"+token.Token.Project.ID+"/storm"
	if status, _, err := o.send(c.t.Context(), "PUT", "", nil, nil); err != nil || status != http.StatusCreated {
		c.t.Fatal(status, err)
	}
	return o
}

func (o *objectStorm) send(ctx context.Context, method, name string, header map[string]string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, o.base+name, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Auth-Token", o.token)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := o.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, content, err
}

func (o *objectStorm) knows(name string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if list := o.known[name]; list != nil {
		return list
	}
	return []string{""}
}

// learn notes what a change to a name came to: one sum when it was answered.
func (o *objectStorm) learn(name, sum string, status int, err error) {
	before := o.knows(name)
	o.report.Operations(1)
	o.report.Answered(err == nil && status < 500)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil || status >= 500:
		o.unanswered.Add(1)
		o.known[name] = append(append([]string{}, before...), sum)
	case status < 300:
		o.acked.Add(1)
		o.known[name] = []string{sum}
	case status == http.StatusNotFound && sum == "":
		o.known[name] = []string{""}
	default:
		o.t.Errorf("%s: status %d", name, status)
	}
}

// work changes names that are one worker's own.
func (o *objectStorm) work(ctx context.Context, n int, random *rand.Rand) {
	for ctx.Err() == nil {
		name := fmt.Sprintf("/w%d/%d", n, random.IntN(objectNames))
		switch random.IntN(10) {
		case 0:
			status, _, err := o.send(context.WithoutCancel(ctx), "DELETE", name, nil, nil)
			o.learn(name, "", status, err)
		case 1:
			from := fmt.Sprintf("/w%d/%d", n, random.IntN(objectNames))
			if sums := o.knows(from); len(sums) == 1 && sums[0] != "" && from != name {
				status, _, err := o.send(context.WithoutCancel(ctx), "PUT", name, map[string]string{"X-Copy-From": "/storm" + from}, nil)
				o.learn(name, sums[0], status, err)
			}
		default:
			size := 1 + random.IntN(60<<10)
			if random.IntN(3) == 0 {
				size = 1<<20 + random.IntN(8<<20)
			}
			body := bytes.Repeat(fmt.Appendf(nil, "%016x", random.Uint64()), size/16+1)[:size]
			sum := md5.Sum(body)
			status, _, err := o.send(context.WithoutCancel(ctx), "PUT", name, nil, body)
			o.learn(name, hex.EncodeToString(sum[:]), status, err)
		}
	}
}

func (o *objectStorm) untilReady() int {
	var pid int
	o.until("the server is ready", 40*time.Second, func() (bool, string) {
		pid = o.k.processOf("server")
		status, _, err := o.send(o.t.Context(), "HEAD", "", nil, nil)
		return pid != 0 && pid != o.killed && status == http.StatusNoContent, fmt.Sprint(pid, status, err)
	})
	return pid
}

func (o *objectStorm) kill(random *rand.Rand, rounds int, end time.Time) {
	for n := 0; n < rounds || time.Now().Before(end); n++ {
		pid := o.untilReady()
		time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second)))) // this pause is what is being tried
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			o.t.Errorf("kill %d: %v", n, err)
		}
		o.killed = pid
		o.report.Fault("kill server", 1)
	}
}

// verify reads everything.
func (o *objectStorm) verify() {
	for name, allowed := range o.known {
		status, body, err := o.send(o.t.Context(), "GET", name, nil, nil)
		sum := md5.Sum(body)
		got := hex.EncodeToString(sum[:])
		if status == http.StatusNotFound {
			got = ""
		}
		ok := false
		for _, s := range allowed {
			ok = ok || s == got
		}
		if err != nil || status != http.StatusOK && status != http.StatusNotFound || !ok {
			o.report.Violation("%s: status %d, %d bytes with sum %q, allowed %q, %v", name, status, len(body), got, allowed, err)
		}
	}
}
