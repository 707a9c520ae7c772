package quotas

import (
	"io"
	"net/http"
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
	accountBytes   = "X-Account-Meta-Quota-Bytes"
)

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
			err = checkAccount(r)
		}
		if err != nil {
			return swift.Reply{}, err
		}
		return next(r)
	}
}

func checkContainer(r *swift.Request) error {
	for name, text := range map[string]string{containerBytes: "Invalid bytes quota.", containerCount: "Invalid count quota."} {
		if value := r.Header.Get(name); value != "" && limit(value) < 0 {
			return swift.FailText(http.StatusBadRequest, text)
		}
	}
	return nil
}

// checkAccount lets resellers alone change the quota of an account.
func checkAccount(r *swift.Request) error {
	value, set := r.Header[accountBytes]
	removed := r.Header.Get("X-Remove-"+strings.TrimPrefix(accountBytes, "X-")) != ""
	if !set && !removed {
		return nil
	}
	if err := r.Authorize(""); err != nil {
		return err
	}
	if !r.Reseller {
		return swift.Fail(http.StatusForbidden)
	}
	if set && value[0] != "" && limit(value[0]) < 0 {
		return swift.Fail(http.StatusBadRequest)
	}
	return nil
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
	q := limit(a.Headers[accountBytes])
	return q >= 0 && a.AllBytes+size > q
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
	if c.Headers[containerBytes] == "" && c.Headers[containerCount] == "" && a.Headers[accountBytes] == "" {
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
