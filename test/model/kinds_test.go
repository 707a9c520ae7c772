package model

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

func (c *client) yes() bool { return c.random.IntN(2) == 0 }

func described(c *client) object { return object{"description": fmt.Sprint("d", c.random.IntN(1000))} }

func renamed(more func(c *client) object) func(c *client) object {
	return func(c *client) object {
		o := more(c)
		o["name"] = c.name()
		return o
	}
}

func nothing(*client) object { return object{} }

var (
	projects = &kind{path: "/identity/v3/projects", one: "project", many: "projects", admin: true, update: "PATCH", most: 6, create: described,
		change: renamed(func(c *client) object { return object{"enabled": c.yes()} })}
	users = &kind{path: "/identity/v3/users", one: "user", many: "users", admin: true, update: "PATCH", most: 6, create: described,
		change: renamed(func(c *client) object { return object{"enabled": c.yes()} })}
	groups   = &kind{path: "/identity/v3/groups", one: "group", many: "groups", admin: true, update: "PATCH", most: 6, create: described, change: renamed(described)}
	networks = &kind{path: "/networking/v2.0/networks", one: "network", many: "networks", update: "PUT", most: 6, create: described,
		change: renamed(func(c *client) object { return object{"admin_state_up": c.yes()} })}
	ports = &kind{path: "/networking/v2.0/ports", one: "port", many: "ports", update: "PUT", most: 6,
		create: func(c *client) object { return object{"network_id": c.network, "admin_state_up": c.yes()} },
		change: renamed(func(c *client) object { return object{"admin_state_up": c.yes()} })}
	routers = &kind{path: "/networking/v2.0/routers", one: "router", many: "routers", update: "PUT", most: 4, create: described, change: renamed(described)}
	secure  = &kind{path: "/networking/v2.0/security-groups", one: "security_group", many: "security_groups", update: "PUT", most: 6, create: described, change: renamed(described)}
	images  = &kind{path: "/image/v2/images", many: "images", most: 6,
		create: func(c *client) object {
			return object{"disk_format": "raw", "container_format": "bare", "min_disk": c.random.IntN(9)}
		}, change: renamed(func(c *client) object { return object{"min_disk": c.random.IntN(9)} })}
	volumes = &kind{path: "/volume/v3/volumes", one: "volume", many: "volumes", update: "PUT", most: 4, ready: "available", unready: []string{"creating"},
		create: func(c *client) object { return object{"size": 1 + c.random.IntN(3), "description": "d"} }, change: renamed(described)}
	servers = &kind{path: "/compute/v2.1/servers", one: "server", many: "servers", update: "PUT", ready: "ACTIVE", unready: []string{"BUILD"}, most: 2,
		create: func(c *client) object {
			return object{"flavorRef": c.flavors[0], "imageRef": c.image, "networks": []object{{"uuid": c.network}}}
		}, change: renamed(nothing)}
	kinds = []*kind{projects, users, groups, networks, ports, routers, secure, images, volumes, servers}
)

// move is an action on servers: from where it is allowed, over what, to where;
// an empty end is where it began.
type move struct {
	body object
	from []string
	over []string
	to   string
}

// asBefore is the end of a resize: the state in which the server was.
const asBefore = "as before"

func (c *client) moves(t *thing) []move {
	active := []string{"ACTIVE"}
	return []move{
		{object{"os-stop": nil}, active, nil, "SHUTOFF"},
		{object{"os-start": nil}, []string{"SHUTOFF"}, nil, "ACTIVE"},
		{object{"reboot": object{"type": "HARD"}}, []string{"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"}, []string{"HARD_REBOOT"}, "ACTIVE"},
		{object{"reboot": object{"type": "SOFT"}}, active, []string{"REBOOT"}, "ACTIVE"},
		{object{"pause": nil}, active, nil, "PAUSED"},
		{object{"unpause": nil}, []string{"PAUSED"}, nil, "ACTIVE"},
		{object{"suspend": nil}, active, nil, "SUSPENDED"},
		{object{"resume": nil}, []string{"SUSPENDED"}, nil, "ACTIVE"},
		{object{"rebuild": object{"imageRef": c.image}}, []string{"ACTIVE", "SHUTOFF"}, []string{"REBUILD"}, ""},
		{object{"resize": object{"flavorRef": c.flavors[1-t.flavor]}}, []string{"ACTIVE", "SHUTOFF"}, []string{"RESIZE"}, "VERIFY_RESIZE"},
		{object{"revertResize": nil}, []string{"VERIFY_RESIZE"}, []string{"REVERT_RESIZE"}, asBefore},
		{object{"confirmResize": nil}, []string{"VERIFY_RESIZE"}, nil, asBefore},
		{object{"shelve": nil}, []string{"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"}, []string{"SHELVED"}, "SHELVED_OFFLOADED"},
		{object{"unshelve": nil}, []string{"SHELVED_OFFLOADED"}, []string{"SHELVED"}, "ACTIVE"},
	}
}

// act tries an action and follows the automaton.
func (c *client) act(t *thing) {
	all := c.moves(t)
	mv := all[c.random.IntN(len(all))]
	allowed := slices.Contains(mv.from, t.state)
	if !allowed && c.random.IntN(3) > 0 {
		return // mostly what can be done
	}
	a := c.send(c.token(servers), "POST", servers.path+"/"+t.id+"/action", mv.body)
	switch {
	case !allowed && a.status != http.StatusConflict:
		c.r.Violation("I-15: %v on a server that is %s: %s", mv.body, t.state, a)
	case allowed && !slices.Contains([]int{http.StatusAccepted, http.StatusOK, http.StatusNoContent}, a.status):
		c.r.Violation("I-15: %v on a server that is %s: %s", mv.body, t.state, a)
	case allowed:
		c.follow(t, mv)
	}
}

// follow waits for the end of an action that was accepted.
func (c *client) follow(t *thing, mv move) {
	to := mv.to
	switch to {
	case "":
		to = t.state
	case "VERIFY_RESIZE":
		t.was, t.flavor = t.state, 1-t.flavor
	case asBefore:
		to = t.was
		if _, back := mv.body["revertResize"]; back {
			t.flavor = 1 - t.flavor
		}
	}
	c.settle(t, to, append(mv.over, t.state)...)
	t.state = to
}

// file does something to the client's own objects, and compares the list of them.
func (c *client) file() {
	base := c.account + fmt.Sprintf("/own-%d/", c.n)
	name := fmt.Sprint("o", c.random.IntN(12))
	want, there := c.files[name]
	token := c.cloud.Demo.Token
	switch c.random.IntN(6) {
	case 0, 1:
		body := strings.Repeat(c.name(), 1+c.random.IntN(300))
		if a := c.send(token, "PUT", base+name, []byte(body)); a.status != http.StatusCreated {
			c.r.Violation("put %s: %s", name, a)
			return
		}
		c.files[name] = body
	case 2:
		a := c.send(token, "DELETE", base+name, nil)
		if there && a.status != http.StatusNoContent || !there && a.status != http.StatusNotFound {
			c.r.Violation("delete %s, there: %v: %s", name, there, a)
		}
		delete(c.files, name)
	case 3:
		to := fmt.Sprint("o", c.random.IntN(12))
		a := c.send(token, "PUT", base+to, []byte{}, "X-Copy-From", fmt.Sprintf("/own-%d/%s", c.n, name))
		if there && a.status != http.StatusCreated || !there && a.status != http.StatusNotFound {
			c.r.Violation("copy %s, there: %v: %s", name, there, a)
		}
		if there {
			c.files[to] = want
		}
	case 4:
		a := c.send(token, "GET", base+name, nil)
		if there && (a.status != http.StatusOK || string(a.body) != want) || !there && a.status != http.StatusNotFound {
			c.r.Violation("get %s, there: %v: %s", name, there, a)
		}
	case 5:
		var got []string
		for marker := ""; ; {
			page := strings.Fields(string(c.send(token, "GET", strings.TrimSuffix(base, "/")+"?limit=5&marker="+marker, nil).body))
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			marker = page[len(page)-1]
		}
		if names := slices.Sorted(maps.Keys(c.files)); !slices.Equal(got, names) {
			c.r.Violation("I-20: objects listed %v, there %v", got, names)
		}
	}
}
