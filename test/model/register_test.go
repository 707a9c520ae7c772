package model

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is something that all clients write and read: an object, or a
// network's name. Operations on it must look as if they came one at a time.
type register struct {
	name  string
	write func(c *client, v string)
	read  func(c *client) string // empty: there is nothing
	erase func(c *client)        // nil: it cannot be

	mu      sync.Mutex
	history []porcupine.Operation
}

// verb is the input of an operation.
type verb struct {
	write bool
	value string
}

var oneAtATime = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(verb); in.write {
			return true, in.value
		}
		return state == output, state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " ", output) },
}

// use does one operation and notes it.
func (g *register) use(c *client) {
	in, out := verb{}, ""
	began := time.Now().UnixNano()
	switch n := c.random.IntN(5); {
	case n < 2:
		in = verb{true, c.name()}
		g.write(c, in.value)
	case n == 2 && g.erase != nil:
		in = verb{true, ""}
		g.erase(c)
	default:
		out = g.read(c)
	}
	ended := time.Now().UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.history = append(g.history, porcupine.Operation{ClientId: c.n, Input: in, Output: out, Call: began, Return: ended})
}

// check looks for an order of the round's operations that explains all answers.
func (g *register) check(m *model) {
	result, _ := porcupine.CheckOperationsVerbose(oneAtATime, g.history, 20*time.Second)
	if result == porcupine.Illegal {
		m.r.Violation("%s is not linearizable: %v", g.name, g.history)
	}
	g.history = nil
}

// begin gives a register its value of a new round.
func (g *register) begin(c *client) {
	began := time.Now().UnixNano()
	g.write(c, c.name())
	g.history = nil
	v := g.read(c)
	g.history = append(g.history, porcupine.Operation{ClientId: c.n, Input: verb{true, v}, Call: began, Return: time.Now().UnixNano()})
}

func (m *model) registers() {
	for n := range 3 {
		path := m.account + fmt.Sprintf("/shared/r%d", n)
		m.shared = append(m.shared, &register{name: path,
			write: func(c *client, v string) {
				if a := c.send(c.cloud.Demo.Token, "PUT", path, []byte(v)); a.status != http.StatusCreated {
					c.r.Violation("put %s: %s", path, a)
				}
			},
			read: func(c *client) string {
				a := c.send(c.cloud.Demo.Token, "GET", path, nil)
				if a.status == http.StatusNotFound {
					return ""
				}
				return string(a.body)
			},
			erase: func(c *client) { c.send(c.cloud.Demo.Token, "DELETE", path, nil) }})
	}
	for _, k := range []*kind{networks, images, secure} {
		id := m.stable[k][0]
		path := k.path + "/" + id
		m.shared = append(m.shared, &register{name: path,
			write: func(c *client, v string) {
				var a answer
				if k.update == "" {
					a = c.send(c.token(k), "PATCH", path, []object{{"op": "replace", "path": "/name", "value": v}}, "Content-Type", "application/openstack-images-v2.1-json-patch")
				} else {
					a = c.send(c.token(k), k.update, path, c.wrap(k, object{"name": v}))
				}
				if a.status != http.StatusOK {
					c.r.Violation("rename %s: %s", path, a)
				}
			},
			read: func(c *client) string {
				name, _ := k.of(c.send(c.token(k), "GET", path, nil))["name"].(string)
				return name
			}})
	}
}
