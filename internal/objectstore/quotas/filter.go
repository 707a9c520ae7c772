package quotas

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// The attributes that hold quotas.
const (
	containerBytes = "X-Container-Meta-Quota-Bytes"
	containerCount = "X-Container-Meta-Quota-Count"
	accountBytes   = "X-Account-Meta-Quota-Bytes" // of old
	accountPrefix  = "X-Account-"
	kept           = "X-Sysmeta-" // instead of accountPrefix, as it is stored
)

type quota struct {
	name  string
	count bool // of objects, not bytes
}

// accountQuotas are the quotas of an account behind accountPrefix. There is one
// policy of storage, so what holds for it holds for all.
var accountQuotas = []quota{
	{"Quota-Bytes", false}, {"Quota-Count", true}, {"Quota-Bytes-Policy-" + swift.PolicyName, false}, {"Quota-Count-Policy-" + swift.PolicyName, true},
}

// Feature refuses what is over quota.
type Feature struct{ store objectstore.Store }

// New makes the feature.
func New(s objectstore.Store) *Feature { return &Feature{s} }

// Info is the sections of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{"container_quotas": {}, "account_quotas": {}}
}

// Filter checks quotas where they are set, and uploads against them.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		var err error
		switch {
		case r.Object != "" && r.Method == http.MethodPut:
			err = f.upload(r)
		case r.Object != "" || r.Method != http.MethodPut && r.Method != http.MethodPost:
		case r.Container != "":
			err = checkContainer(r)
		default:
			r, err = changeAccount(r)
		}
		if err != nil {
			return swift.Reply{}, err
		}
		reply, err := next(r)
		if err == nil && r.Container == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) && swift.OK(reply) {
			err = f.show(r, reply)
		}
		return reply, err
	}
}

// show tells the quotas of an account.
func (f *Feature) show(r *swift.Request, reply swift.Reply) error {
	a, err := f.store.Account(r.Context(), r.Account)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, q := range accountQuotas {
		if value := a.Headers[kept+q.name]; value != "" {
			reply.Header.Set(accountPrefix+q.name, value)
		}
	}
	return nil
}

func checkContainer(r *swift.Request) error {
	for name, text := range map[string]string{containerBytes: "Invalid bytes quota.", containerCount: "Invalid count quota."} {
		if value := r.Header.Get(name); value != "" && limit(value) < 0 {
			return swift.FailText(http.StatusBadRequest, text)
		}
	}
	return nil
}

// changeAccount lets resellers alone change the quotas of an account.
func changeAccount(r *swift.Request) (*swift.Request, error) {
	asked := map[string]string{} // by the name behind accountPrefix
	for name := range r.Header {
		if plain, ok := strings.CutPrefix(name, "X-Remove-Account-"); ok && isQuota(plain) {
			asked[plain] = ""
		}
	}
	for name, values := range r.Header {
		if plain, ok := strings.CutPrefix(name, accountPrefix); ok && isQuota(plain) {
			asked[plain] = values[0]
		}
	}
	if len(asked) == 0 {
		return r, nil
	}
	if err := r.Authorize(""); err != nil {
		return r, err
	}
	if !r.Reseller {
		return r, swift.Fail(http.StatusForbidden)
	}
	sub := *r
	sub.Sysmeta = maps.Clone(r.Sysmeta)
	if sub.Sysmeta == nil {
		sub.Sysmeta = objectstore.Headers{}
	}
	for name, value := range asked {
		if value != "" && limit(value) < 0 {
			return r, swift.Fail(http.StatusBadRequest)
		}
		if name != strings.TrimPrefix(accountBytes, accountPrefix) {
			sub.Sysmeta[kept+name] = value
		}
	}
	return &sub, nil
}

func isQuota(name string) bool {
	return name == strings.TrimPrefix(accountBytes, accountPrefix) ||
		slices.ContainsFunc(accountQuotas, func(q quota) bool { return q.name == name })
}

// limit reads a quota; -1: it is none.
func limit(text string) int64 {
	if text == "" {
		return -1
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || text[0] == '+' {
		return -1
	}
	return n
}

func exceeded() error {
	return swift.FailText(http.StatusRequestEntityTooLarge, "Upload exceeds quota.")
}

// over tells whether size more bytes are too many.
func over(a *objectstore.Account, c *objectstore.Container, size int64) bool {
	if q := limit(c.Headers[containerBytes]); q >= 0 && c.AllBytes+size > q {
		return true
	}
	if q := limit(c.Headers[containerCount]); q >= 0 && c.Objects+1 > q {
		return true
	}
	for _, q := range accountQuotas {
		most := limit(a.Headers[kept+q.name])
		if most >= 0 && (q.count && a.Objects+1 > most || !q.count && a.AllBytes+size > most) {
			return true
		}
	}
	q := limit(a.Headers[accountBytes])
	return q >= 0 && a.AllBytes+size > q
}

// limited tells whether anything is limited.
func limited(a *objectstore.Account, c *objectstore.Container) bool {
	for _, q := range accountQuotas {
		if a.Headers[kept+q.name] != "" {
			return true
		}
	}
	return c.Headers[containerBytes] != "" || c.Headers[containerCount] != "" || a.Headers[accountBytes] != ""
}

// upload refuses what is too much already, and has the rest decided in the commit.
func (f *Feature) upload(r *swift.Request) error {
	c, err := f.store.Container(r.Context(), r.Account, r.Container)
	if fault.Is(err, fault.NotFound) {
		return nil // the upload will say so
	}
	if err != nil {
		return err
	}
	a, err := f.store.Account(r.Context(), r.Account)
	if err != nil {
		return err
	}
	if !limited(a, c) {
		return nil
	}
	taken := &counted{r: r.Body}
	parts, err := f.sizes(r)
	if err != nil {
		return err
	}
	if over(a, c, parts+max(r.Length, 0)*bare(r)) {
		if err := r.Authorize(c.Headers[objectstore.HeaderWrite]); err != nil {
			return err // who may not write learns nothing of quotas
		}
		return exceeded()
	}
	r.Body = taken
	r.Checks = append(r.Checks[:len(r.Checks):len(r.Checks)], func(a *objectstore.Account, c *objectstore.Container, _ *objectstore.Object) error {
		if over(a, c, parts+taken.n) {
			return exceeded()
		}
		return nil
	})
	return nil
}

// bare is 1 where the bytes of an upload come in its body.
func bare(r *swift.Request) int64 {
	if len(r.Compose) > 0 {
		return 0
	}
	return 1
}

// sizes is how many bytes come out of other objects.
func (f *Feature) sizes(r *swift.Request) (sum int64, err error) {
	for _, k := range r.Compose {
		o, err := f.store.Head(r.Context(), k)
		if fault.Is(err, fault.NotFound) {
			return 0, nil // the upload will say so
		}
		if err != nil {
			return 0, err
		}
		sum += o.Size
	}
	return sum, nil
}

// counted counts a body that comes in.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
