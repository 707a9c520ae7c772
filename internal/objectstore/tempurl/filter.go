package tempurl

import (
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Feature checks signed addresses.
type Feature struct {
	store objectstore.Store
	clock clock.Clock
}

// New makes the feature.
func New(s objectstore.Store, c clock.Clock) *Feature { return &Feature{s, c} }

func methods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}
}

// Info is the section of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{"tempurl": {"methods": methods(), "allowed_digests": Digests(), "incoming_remove_headers": []string{"x-timestamp"},
		"incoming_allow_headers": []string{}, "outgoing_remove_headers": []string{"x-object-meta-*"}, "outgoing_allow_headers": []string{"x-object-meta-public-*"}}}
}

// Filter lets signed requests pass.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		if r.Method == http.MethodOptions || !r.Query.Has("temp_url_sig") && !r.Query.Has("temp_url_expires") {
			return next(r)
		}
		p := parse(r.Query, f.clock.Now())
		scope, err := f.check(r, p)
		if err != nil {
			return swift.Reply{}, err
		}
		signed, err := narrow(r, p, scope)
		if err != nil {
			return swift.Reply{}, err
		}
		reply, err := next(signed)
		if err == nil && r.Object == "" && swift.OK(reply) && !signed.Signed.Page {
			swift.Discard(reply) // an address of a container opens its site, never the container
			return swift.Reply{}, invalid()
		}
		if err == nil {
			dress(&reply, signed, p)
		}
		return reply, err
	}
}

func invalid() error {
	return swift.FailText(http.StatusUnauthorized, "401 Unauthorized: Temp URL invalid\n")
}

// Key is a key of an account or container.
type Key struct {
	Secret    string
	Container bool // reaches its container only
}

// Keys gives the keys that sign for a container; what is missing has none.
func Keys(r *swift.Request, store objectstore.Store) (keys []Key, err error) {
	a, err := store.Account(r.Context(), r.Account)
	if err == nil && !a.Deleted {
		keys = appendKeys(keys, a.Headers, "X-Account-Meta-Temp-Url-Key", false)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	c, err := store.Container(r.Context(), r.Account, r.Container)
	if err == nil {
		keys = appendKeys(keys, c.Headers, "X-Container-Meta-Temp-Url-Key", true)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	return keys, nil
}

func appendKeys(keys []Key, h objectstore.Headers, name string, container bool) []Key {
	for _, n := range []string{name, name + "-2"} {
		if secret := h[n]; secret != "" {
			keys = append(keys, Key{secret, container})
		}
	}
	return keys
}

// addressable tells whether an address may name the target: an object, or a
// container as a site where the address opens all of its names.
func addressable(r *swift.Request, p params) bool {
	whole := reads(r.Method) && p.prefix != nil && *p.prefix == ""
	return r.Container != "" && (whole || strings.Trim(r.Object, "/") != "")
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// check finds the key that has signed a request.
func (f *Feature) check(r *swift.Request, p params) (Key, error) {
	signature, ok := ParseSignature(p.signature)
	if !ok || p.until == 0 || !addressable(r, p) || !slices.Contains(methods(), r.Method) {
		return Key{}, invalid()
	}
	head := ""
	if p.addresses != nil && *p.addresses != "" {
		if !within(r.Call.Request.RemoteAddr, *p.addresses) {
			return Key{}, invalid()
		}
		head = "ip=" + *p.addresses + "\n"
	}
	object, kind := r.Object, ""
	if p.prefix != nil {
		if !strings.HasPrefix(r.Object, *p.prefix) {
			return Key{}, invalid()
		}
		object, kind = *p.prefix, "prefix:"
	}
	keys, err := Keys(r, f.store)
	if err != nil {
		return Key{}, err
	}
	signing := []string{r.Method}
	if r.Method == http.MethodHead {
		signing = []string{http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut}
	}
	for _, method := range signing {
		text := head + method + "\n" + strconv.FormatInt(p.until, 10) + "\n" + kind + "/v1/" + r.Account + "/" + r.Container + "/" + object
		for _, k := range keys {
			if signature.Signs(k.Secret, text) {
				return k, nil
			}
		}
	}
	return Key{}, invalid()
}

// narrow makes the request that a signature allows.
func narrow(r *swift.Request, p params, key Key) (*swift.Request, error) {
	reading := reads(r.Method)
	if !reading {
		for _, name := range []string{"X-Object-Manifest", "X-Symlink-Target"} {
			if _, there := r.Header[name]; there {
				return nil, swift.FailText(http.StatusBadRequest, "The header '"+name+"' is not allowed in this tempurl")
			}
		}
	}
	signed := *r
	signed.Query = url.Values{}
	signed.Header = r.Header.Clone()
	signed.Signed = &swift.Signed{Query: p.links()}
	if p.prefix != nil {
		signed.Signed.Prefix = *p.prefix
	}
	target, method := r.Target, r.Method
	signed.Vouched = func(t swift.Target, m string) bool {
		if !reading {
			return t == target && m == method
		}
		return reads(m) && t.Account == target.Account && t.Container != "" && (!key.Container || t.Container == target.Container)
	}
	return &signed, nil
}

// dress takes away what the holder of an address may not see, and names the download.
func dress(reply *swift.Reply, r *swift.Request, p params) {
	reply.Header = maps.Clone(reply.Header)
	if reply.Header == nil {
		reply.Header = http.Header{}
	}
	for name := range reply.Header {
		if strings.HasPrefix(name, "X-Object-Meta-") && !strings.HasPrefix(name, "X-Object-Meta-Public-") {
			delete(reply.Header, name)
		}
	}
	if !reads(r.Method) || !swift.OK(*reply) {
		return
	}
	value, inline := reply.Header.Get("Content-Disposition"), p.inline || r.Signed.Page
	switch {
	case inline && p.filename != "":
		value = disposition("inline", p.filename)
	case inline:
		value = "inline"
	case p.filename != "":
		value = disposition("attachment", p.filename)
	case value == "":
		value = disposition("attachment", path.Base(strings.TrimRight(r.Object, "/")))
	}
	reply.Header.Set("Content-Disposition", strings.ReplaceAll(value, "\n", "%0A"))
	reply.Header.Set("Expires", time.Unix(p.until, 0).UTC().Format(http.TimeFormat))
}

// disposition names a file twice: for clients of old, and as RFC 5987 says.
func disposition(kind, name string) string {
	plain := strings.ReplaceAll(swift.Quote(name), "%20", " ")
	return kind + `; filename="` + plain + `"; filename*=UTF-8''` + swift.Quote(name)
}
