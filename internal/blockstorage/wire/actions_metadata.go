package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// Metadata serves the metadata of one kind of object.
type Metadata struct {
	Noun string // begins the refusal of a key that is not there: "Volume"
	// Show finds the object, authorises it and gives its metadata as shown.
	Show func(c *rest.Call) (map[string]string, error)
	// Change finds the object, authorises it, and lets f change a copy of its
	// metadata in the transaction that writes them and the audit record.
	Change func(c *rest.Call, f func(meta map[string]string) error) error
	// Guarded says that ETags guard changes from version 3.15.
	Guarded bool

	Get, Create, Update, Delete string // the rules
}

type metadataBody struct {
	Metadata map[string]string `json:"metadata" v:"required"`
}

// Routes are the operations of metadata below an object's path.
func (m Metadata) Routes(path string) []rest.Route {
	one := path + "/{key}"
	return []rest.Route{
		{Method: "GET", Path: path, Rule: m.Get, Object: true, Handle: m.list},
		{Method: "POST", Path: path, Rule: m.Create, Object: true, Audit: "update", Handle: m.write(false)},
		{Method: "PUT", Path: path, Rule: m.Update, Object: true, Audit: "update", Handle: m.write(true)},
		{Method: "GET", Path: one, Rule: m.Get, Object: true, Handle: m.item},
		{Method: "PUT", Path: one, Rule: m.Update, Object: true, Audit: "update", Handle: m.setItem},
		{Method: "DELETE", Path: one, Rule: m.Delete, Object: true, Audit: "update", Handle: m.dropItem},
	}
}

func (m Metadata) list(c *rest.Call) (rest.Reply, error) {
	meta, err := m.Show(c)
	if err != nil {
		return rest.Reply{}, err
	}
	reply, err := rest.OK(map[string]any{"metadata": meta})
	if m.Guarded && c.At(blockstorage.MetadataETag) {
		reply = reply.With("ETag", `"`+etag(meta)+`"`)
	}
	return reply, err
}

// etag names a state of metadata: encoding/json sorts the keys.
func etag(meta map[string]string) string {
	raw, _ := json.Marshal(meta) // of strings: cannot fail
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// guard refuses a change when the caller has seen another state.
func (m Metadata) guard(c *rest.Call) error {
	want := c.Request.Header.Get("If-Match")
	if !m.Guarded || want == "" || want == "*" || !c.At(blockstorage.MetadataETag) {
		return nil
	}
	meta, err := m.Show(c)
	if err != nil {
		return err
	}
	for tag := range strings.SplitSeq(want, ",") {
		if strings.Trim(strings.TrimSpace(tag), `"`) == etag(meta) {
			return nil
		}
	}
	return fault.New(fault.PreconditionFailed, "The metadata have changed since they were read.")
}

// change guards, changes and checks, and answers what f gives.
func (m Metadata) change(c *rest.Call, f func(meta map[string]string) (any, error)) (rest.Reply, error) {
	if err := m.guard(c); err != nil {
		return rest.Reply{}, err
	}
	var body any
	err := m.Change(c, func(meta map[string]string) (err error) {
		if body, err = f(meta); err != nil {
			return err
		}
		return blockstorage.CheckMetadata(meta)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (m Metadata) write(replace bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in metadataBody
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		return m.change(c, func(meta map[string]string) (any, error) {
			if replace {
				clear(meta)
			}
			maps.Copy(meta, in.Metadata)
			return map[string]any{"metadata": meta}, nil
		})
	}
}

func (m Metadata) missing(c *rest.Call) error {
	return fault.NotFoundf("%s %s has no metadata with key %s.", m.Noun, c.Var("id"), c.Var("key"))
}

func (m Metadata) item(c *rest.Call) (rest.Reply, error) {
	meta, err := m.Show(c)
	if err != nil {
		return rest.Reply{}, err
	}
	value, ok := meta[c.Var("key")]
	if !ok {
		return rest.Reply{}, m.missing(c)
	}
	return rest.OK(map[string]any{"meta": map[string]string{c.Var("key"): value}})
}

func (m Metadata) setItem(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Meta map[string]string `json:"meta" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if _, ok := in.Meta[c.Var("key")]; !ok || len(in.Meta) != 1 {
		return rest.Reply{}, fault.Invalidf("Request body and URI mismatch")
	}
	return m.change(c, func(meta map[string]string) (any, error) {
		maps.Copy(meta, in.Meta)
		return map[string]any{"meta": in.Meta}, nil
	})
}

func (m Metadata) dropItem(c *rest.Call) (rest.Reply, error) {
	return m.change(c, func(meta map[string]string) (any, error) {
		if _, ok := meta[c.Var("key")]; !ok {
			return nil, m.missing(c)
		}
		delete(meta, c.Var("key"))
		return nil, nil
	})
}
