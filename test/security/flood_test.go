package security

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/await"
	"github.com/mekcloud/mek/test/report"
)

// TestFlood (SEC-30): hostile requests leave nothing behind, neither memory nor
// goroutines nor rows, and none is answered with a failure of ours.
func TestFlood(t *testing.T) {
	run := report.Start(t, "S", 1)
	cloud := testcloud.New(t)
	const total = 30000
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 30 * time.Second}
	kinds := hostile(cloud)
	statuses, mu := map[int]int{}, sync.Mutex{}
	flood := func(n int, end time.Time) (asked int64) {
		var all sync.WaitGroup
		var sum atomic.Int64
		for worker := range 16 {
			all.Add(1)
			go func() {
				defer all.Done()
				for i := worker; i < n || time.Now().Before(end); i += 16 {
					sum.Add(1)
					status := kinds[i%len(kinds)](client, i)
					mu.Lock()
					statuses[status]++
					mu.Unlock()
				}
			}()
		}
		all.Wait()
		client.CloseIdleConnections()
		return sum.Load()
	}
	flood(total/10, time.Time{}) // caches fill
	cloud.RunTasks()
	await.That(t, "the cloud to file what its hosts accepted", func() bool { return !strings.HasPrefix(digest(t, cloud.DB)["hoststate_accepted"], "0 ") })
	rows, heap, goroutines := digest(t, cloud.DB), settled(), runtime.NumGoroutine()
	asked := flood(total, time.Now().Add(report.Length(t, 0)))
	cloud.RunTasks()
	run.Operations(int(asked))
	for status, n := range statuses {
		if status >= 500 && status != http.StatusServiceUnavailable {
			run.Violation("%d answers %d", n, status)
		}
	}
	if after := settled(); after > heap+24<<20 {
		run.Violation("%d MiB of memory, %d MiB before", after>>20, heap>>20)
	}
	await.That(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines+8 })
	for name, was := range digest(t, cloud.DB) {
		if is := rows[name]; is != was && !strings.HasPrefix(name, "outbox") && strings.Fields(is)[0] != strings.Fields(was)[0] {
			run.Violation("table %s had %s, has %s", name, is, was)
		}
	}
	t.Logf("%d requests: %v", asked, statuses)
}

func settled() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// hostile are requests that nobody means well with.
func hostile(cloud *testcloud.Cloud) []func(c *http.Client, i int) int {
	send := func(c *http.Client, method, url, token string, body io.Reader, headers ...string) int {
		r, err := http.NewRequest(method, url, body)
		if err != nil {
			return 0
		}
		r.Header.Set("X-Auth-Token", token)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		a, err := c.Do(r)
		if err != nil {
			return 0
		}
		defer a.Body.Close()
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			return 0
		}
		return a.StatusCode
	}
	account := cloud.URL + "/v1/AUTH_" + cloud.Demo.ProjectID
	deep := strings.Repeat(`{"a":`, 10000)
	wide := []byte(`{"server":{"name":"` + strings.Repeat("x", 900<<10) + `"}}`)
	return []func(c *http.Client, i int) int{
		func(c *http.Client, i int) int { return send(c, "GET", fmt.Sprint(cloud.URL, "/nowhere/", i), "", nil) },
		func(c *http.Client, i int) int {
			return send(c, "GET", cloud.URL+"/compute/v2.1/servers", fmt.Sprint("gAAAA", i), nil)
		},
		func(c *http.Client, i int) int {
			return send(c, "POST", cloud.URL+"/compute/v2.1/servers", cloud.Demo.Token, strings.NewReader(deep))
		},
		func(c *http.Client, i int) int {
			return send(c, "GET", fmt.Sprintf("%s/networking/v2.0/ports?name=%s&fields=id&marker=%d&limit=99999999999", cloud.URL, strings.Repeat("%25", 2000), i), cloud.Demo.Token, nil)
		},
		func(c *http.Client, i int) int {
			if i%50 > 0 { // large ones now and then
				return send(c, "GET", fmt.Sprint(cloud.URL, "/image/v2/images/", i), cloud.Demo.Token, nil)
			}
			return send(c, "POST", cloud.URL+"/compute/v2.1/servers", cloud.Demo.Token, bytes.NewReader(wide))
		},
		func(c *http.Client, i int) int {
			return send(c, "GET", fmt.Sprintf("%s/c%d/o?temp_url_sig=%040d&temp_url_expires=9999999999", account, i, i), "", nil)
		},
		func(c *http.Client, i int) int {
			return send(c, "POST", cloud.S3+fmt.Sprint("/b", i, "?delete"), "", strings.NewReader("<!DOCTYPE a [<!ENTITY b \"c\">]><Delete>&b;</Delete>"), "Authorization", fmt.Sprint("AWS a", i, ":b"))
		},
		func(c *http.Client, i int) int {
			return send(c, "PUT", account+"/none/o", cloud.Demo.Token, strings.NewReader("x"), "X-Object-Meta-A", strings.Repeat("y", 3000), "Range", "bytes=0-0,1-1,2-2")
		},
		func(c *http.Client, i int) int {
			return send(c, "GET", cloud.URL+"/console/websockify?token="+fmt.Sprint(i), "", nil, "Connection", "Upgrade", "Upgrade", "websocket")
		},
		func(_ *http.Client, i int) int { return abort(cloud, i) },
	}
}

// abort begins an upload and leaves.
func abort(cloud *testcloud.Cloud, i int) int {
	if i%100 > 0 {
		return 0
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(cloud.URL, "http://"))
	if err != nil {
		return 0
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "PUT /v1/AUTH_%s/c/o%d HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\nContent-Length: 100000\r\n\r\nhalf", cloud.Demo.ProjectID, i, cloud.Demo.Token) // it leaves at once
	return 0
}
