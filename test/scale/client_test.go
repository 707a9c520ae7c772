package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/measured"
)

type object = map[string]any

// setting is a number of the environment.
func setting(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

// boundless is a cloud that refuses nobody.
func boundless(c *config.Config) {
	testcloud.Unlimited(c)
	for _, name := range []string{"instances", "cores", "ram", "volumes", "gigabytes", "network", "subnet", "port", "security_group", "security_group_rule"} {
		c.Quotas[name] = -1
	}
	c.Identity.TokenLifetime = 24 * time.Hour
}

// asker sends requests, each connection kept, from many goroutines.
type asker struct {
	http       *http.Client
	url, token string
}

func newAsker(c *testcloud.Cloud, who *testcloud.Client) *asker {
	return &asker{&http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}, c.URL, who.Token}
}

// ask gives the body of an answer that went well, and how many milliseconds it took.
func (a *asker) ask(ctx context.Context, method, path string, body any) ([]byte, float64, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, 0, err
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("X-Auth-Token", a.token)
	r.Header.Set("OpenStack-API-Version", versionFor(path))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	begun := time.Now()
	answer, err := a.http.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	out, err := io.ReadAll(answer.Body)
	took := time.Since(begun).Seconds() * 1000
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, out[:min(len(out), 300)])
	}
	return out, took, err
}

func versionFor(path string) string {
	switch {
	case strings.HasPrefix(path, "/placement"):
		return "placement 1.29"
	case strings.HasPrefix(path, "/compute"):
		return "compute 2.37"
	}
	return ""
}

// crowd runs n calls from so many goroutines, and gives their times, sorted.
func crowd(n, clients int, do func(i int) (float64, error)) (times []float64, errs []error) {
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				took, err := do(i)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else {
					times = append(times, took)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(times)
	return times, errs
}

// note keeps lines, and shows them.
func note(t testing.TB, lines ...measured.Line) {
	t.Helper()
	for _, l := range lines {
		t.Logf("%-28s %10.2f %s (%.2f–%.2f) errors %d  %s", l.Name, l.Value, l.Unit, l.Least, l.Most, l.Errors, l.Note)
	}
	if err := measured.Append(lines...); err != nil {
		t.Error(err)
	}
}

func single(name, unit string, v float64, about string) measured.Line {
	return measured.Line{Name: name, Unit: unit, Spread: measured.Spread{Value: v, Least: v, Most: v}, Samples: 1, Note: about}
}
