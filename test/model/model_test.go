package model

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/report"
)

const (
	clientCount = 6
	perRound    = 60 // verbs of a client
	stableItems = 17
)

// TestModel: see the package.
func TestModel(t *testing.T) {
	seed := report.Seed(t)
	r := report.Start(t, "F13", seed)
	m := newModel(t, r, time.Now().Add(report.Length(t, 8*time.Second)))
	var clients []*client
	for n := range clientCount {
		c := m.client(n, seed)
		clients = append(clients, c)
		if a := c.send(c.cloud.Demo.Token, "PUT", c.account+fmt.Sprintf("/own-%d", n), nil); a.status != http.StatusCreated {
			t.Fatal(a)
		}
	}
	extra := m.client(clientCount, seed)
	for round := 0; (round == 0 || time.Now().Before(m.deadline)) && !t.Failed(); round++ {
		m.round(clients, extra)
		if round%10 == 0 {
			m.quotas(extra)
		}
	}
	for _, c := range clients {
		for len(c.things) > 0 {
			c.remove(c.things[0])
		}
	}
	m.cloud.RunTasks()
	m.cloud.Check()
	r.Operations(int(m.ops.Load()))
}

// round lets all clients work beside each other while one pages through lists.
func (m *model) round(clients []*client, lister *client) {
	for _, g := range m.shared {
		g.begin(lister)
	}
	var working atomic.Int64
	working.Store(int64(len(clients)))
	var work sync.WaitGroup
	for _, c := range clients {
		work.Go(func() {
			defer working.Add(-1)
			for range perRound {
				c.step()
			}
		})
	}
	work.Go(func() {
		for working.Load() > 0 {
			for k := range m.stable {
				lister.pages(k)
			}
		}
	})
	work.Wait()
	for _, g := range m.shared {
		g.check(m)
	}
}

func (c *client) step() {
	n := c.random.IntN(100)
	if n < 25 {
		c.shared[c.random.IntN(len(c.shared))].use(c)
		return
	}
	if n < 45 {
		c.file()
		return
	}
	k := kinds[c.random.IntN(len(kinds))]
	have := c.have(k)
	if len(have) == 0 || n < 55 && len(have) < k.most {
		c.create(k)
		return
	}
	t := have[c.random.IntN(len(have))]
	switch {
	case n < 65:
		c.update(t)
	case n < 75:
		c.read(t)
	case n < 83:
		c.list(t)
	case n < 95 && k == servers:
		c.act(t)
	case n >= 92:
		c.remove(t)
	default:
		c.read(t)
	}
}

// pages lists in pages: what does not change is there exactly once.
func (c *client) pages(k *kind) {
	seen, marker := map[string]int{}, ""
	for {
		a := c.send(c.token(k), "GET", fmt.Sprintf("%s?limit=5&marker=%s", k.path, marker), nil)
		if marker == "" {
			a = c.send(c.token(k), "GET", k.path+"?limit=5", nil)
		}
		if a.status == http.StatusNotFound || a.status == http.StatusBadRequest {
			return // the marker was deleted meanwhile
		}
		page := a.items(k.many)
		for _, o := range page {
			marker, _ = o["id"].(string)
			seen[marker]++
		}
		if len(page) == 0 {
			break
		}
	}
	for id, n := range seen {
		if n > 1 {
			c.r.Violation("I-20: %s %s was listed %d times in one listing", k.many, id, n)
		}
	}
	for _, id := range c.stable[k] {
		if seen[id] != 1 {
			c.r.Violation("I-20: %s %s, which is there, was listed %d times", k.many, id, seen[id])
		}
	}
}

// quotas: of k parallel creates against room for q exactly min(k, q) succeed (I-10).
func (m *model) quotas(c *client) {
	admin := m.cloud.Admin
	project := c.send(admin.Token, "POST", projects.path, object{"project": object{"name": c.name()}}).text("project.id")
	role := c.send(admin.Token, "GET", "/identity/v3/roles?name=admin", nil).items("roles")[0]["id"].(string)
	c.send(admin.Token, "PUT", fmt.Sprintf("%s/%s/users/%s/roles/%s", projects.path, project, admin.UserID, role), nil)
	token := c.send("", "POST", "/identity/v3/auth/tokens", object{"auth": object{"identity": object{"methods": []string{"password"}, "password": object{"user": object{
		"id": admin.UserID, "password": testcloud.AdminPassword}}}, "scope": object{"project": object{"id": project}}}}).header.Get("X-Subject-Token")
	for _, q := range []struct {
		k     *kind
		quota string
		body  object
		over  int
	}{
		{networks, "/networking/v2.0/quotas/" + project, object{"quota": object{"network": 0}}, http.StatusConflict},
		{secure, "/networking/v2.0/quotas/" + project, object{"quota": object{"security_group": 0}}, http.StatusConflict},
		{volumes, "/volume/v3/os-quota-sets/" + project, object{"quota_set": object{"volumes": 0}}, http.StatusRequestEntityTooLarge},
		{servers, "/compute/v2.1/os-quota-sets/" + project, object{"quota_set": object{"instances": 0}}, http.StatusForbidden},
	} {
		own := len(c.send(token, "GET", q.k.path+"?project_id="+project, nil).items(q.k.many))
		room, asked := 1+c.random.IntN(6), 2+c.random.IntN(8)
		for _, inner := range q.body {
			for name := range inner.(object) {
				inner.(object)[name] = own + room
			}
		}
		if a := c.send(admin.Token, "PUT", q.quota, q.body); a.status != http.StatusOK {
			c.r.Violation("set a quota: %s", a)
		}
		ids := m.race(token, q.k, asked, q.over)
		if len(ids) != min(room, asked) {
			c.r.Violation("I-10: of %d creates of %s with room for %d succeeded %d", asked, q.k.many, room, len(ids))
		}
		for _, id := range ids {
			c.send(token, "DELETE", q.k.path+"/"+id, nil)
		}
		m.cloud.RunTasks()
	}
	if a := c.send(admin.Token, "DELETE", projects.path+"/"+project, nil); a.status != http.StatusNoContent {
		c.r.Violation("delete project: %s", a)
	}
}

// race creates n things at once and answers the ids of those that were made.
func (m *model) race(token string, k *kind, n, over int) []string {
	var mu sync.Mutex
	var ids []string
	var work sync.WaitGroup
	for i := range n {
		c := m.client(100+i, uint64(m.ops.Load()))
		body := k.create(c)
		body["name"] = c.name()
		if k == servers {
			body["networks"] = "none"
		}
		work.Go(func() {
			a := m.send(token, "POST", k.path, c.wrap(k, body))
			mu.Lock()
			defer mu.Unlock()
			if id, _ := k.of(a)["id"].(string); a.status < 300 {
				ids = append(ids, id)
			} else if a.status != over {
				m.r.Violation("create %s over its quota: %s", k.many, a)
			}
		})
	}
	work.Wait()
	return ids
}

func (m *model) client(n int, seed uint64) *client {
	return &client{model: m, n: n, random: rand.New(rand.NewPCG(seed, uint64(n))), files: map[string]string{}}
}

func newModel(t *testing.T, r *report.Run, deadline time.Time) *model {
	t.Helper()
	unlimited := func(c *config.Config) {
		c.Identity.TokenLifetime = 24 * time.Hour
		c.Quotas = map[string]int{}
		for _, name := range []string{"instances", "cores", "ram", "volumes", "gigabytes", "network", "subnet", "port", "router", "security_group", "security_group_rule"} {
			c.Quotas[name] = -1
		}
	}
	cloud := testcloud.New(t, testcloud.Hosts(2), unlimited)
	m := &model{t: t, r: r, cloud: cloud, stable: map[*kind][]string{}, deadline: deadline, account: "/v1/AUTH_" + cloud.Demo.ProjectID,
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	t.Cleanup(m.http.CloseIdleConnections)
	for n := range 2 {
		m.flavors = append(m.flavors, cloud.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": fmt.Sprint("f", n), "ram": 128 << n, "vcpus": 1 + n, "disk": 1}}).
			Expect(http.StatusOK).String("flavor.id"))
	}
	m.image = cloud.Admin.Do("POST", images.path, object{"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "public"}).Expect(http.StatusCreated).String("id")
	cloud.Admin.Do("PUT", images.path+"/"+m.image+"/file", make([]byte, 1<<16), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	m.network = cloud.Demo.Do("POST", networks.path, object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	cloud.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": m.network, "cidr": "10.9.0.0/16", "ip_version": 4}}).Expect(http.StatusCreated)
	cloud.Demo.Do("PUT", m.account+"/shared", nil).Expect(http.StatusCreated)
	c := m.client(99, 0)
	for _, k := range []*kind{projects, networks, secure, images, volumes, ports} {
		for range stableItems {
			c.create(k)
		}
		for _, t := range c.have(k) {
			m.stable[k] = append(m.stable[k], t.id)
		}
	}
	m.registers()
	return m
}
