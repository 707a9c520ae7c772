package hostile

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/testcloud/world"
)

// own is what the guest has made, so that it can break what is its own.
type own struct {
	mu  sync.Mutex
	ids map[string][]string // by service and path of the collection
	all []string
}

// most is how many things of a kind are remembered.
const most = 40

// made remembers the id in an answer to a request of the guest.
func (o *own) made(op *world.Operation, body []byte) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return
	}
	inner := members
	for _, raw := range members {
		var one map[string]json.RawMessage
		if len(members) == 1 && json.Unmarshal(raw, &one) == nil {
			inner = one
		}
	}
	var id string
	if json.Unmarshal(inner["id"], &id) != nil || id == "" {
		return
	}
	key := op.Service.Name + " " + op.Route.Path
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ids[key] = last(append(o.ids[key], id), most)
	o.all = last(append(o.all, id), 10*most)
}

func last(list []string, n int) []string { return list[max(0, len(list)-n):] }

// of picks a thing for the first placeholder of an operation's path.
func (o *own) of(d *dice, op *world.Operation) (collection, id string) {
	collection, _, ok := strings.Cut(op.Route.Path, "/{")
	if !ok {
		return "", ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if list := o.ids[op.Service.Name+" "+collection]; len(list) > 0 {
		return collection, list[d.IntN(len(list))]
	}
	return "", ""
}

// list is a copy of what there is of a kind.
func (o *own) list(key string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.ids[key])
}

// any picks any thing of the guest's.
func (o *own) any(d *dice) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		return ""
	}
	return o.all[d.IntN(len(o.all))]
}
