package accounts

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Feature serves accounts.
type Feature struct{ store objectstore.Store }

// New makes the feature.
func New(s objectstore.Store) *Feature { return &Feature{s} }

// Handle answers requests about an account.
func (f *Feature) Handle(r *swift.Request) (swift.Reply, error) {
	if n := len(r.Account); n > swift.MaxAccountNameLength {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, fmt.Sprintf("Account name length of %d longer than %d", n, swift.MaxAccountNameLength))
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return f.read(r)
	case http.MethodPost:
		return f.post(r)
	case http.MethodPut:
		return f.put(r)
	case http.MethodDelete:
		return f.remove(r)
	}
	return swift.Reply{}, swift.Fail(http.StatusMethodNotAllowed)
}

func (f *Feature) read(r *swift.Request) (swift.Reply, error) {
	format, err := swift.Format(r)
	if err != nil {
		return swift.Reply{}, err
	}
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	account, err := f.store.Account(r.Context(), r.Account)
	switch {
	case fault.Is(err, fault.NotFound):
		account = &objectstore.Account{Name: r.Account, CreatedAt: r.Time, ChangedAt: r.Time}
	case err != nil:
		return swift.Reply{}, err
	case account.Deleted:
		return swift.Reply{}, swift.Fail(http.StatusGone)
	}
	header := describe(account, r.Owner)
	if r.Query.Get("format") == "" {
		header.Set("Vary", "Accept")
	}
	if r.Method == http.MethodHead {
		header.Set("Content-Type", format+"; charset=utf-8")
		return swift.Reply{Status: http.StatusNoContent, Header: header}, nil
	}
	listing, err := swift.Listing(r)
	if err != nil {
		return swift.Reply{}, err
	}
	var entries []objectstore.ContainerEntry
	if listing.Limit > 0 {
		if entries, err = f.store.Containers(r.Context(), r.Account, listing); err != nil && !fault.Is(err, fault.NotFound) {
			return swift.Reply{}, err
		}
	}
	return render(r.Account, entries, format, header)
}

func describe(a *objectstore.Account, owner bool) http.Header {
	h := http.Header{}
	swift.Show(h, a.Headers, owner)
	if domain, ok := a.Headers[objectstore.HeaderProjectDomain]; ok {
		h.Set("X-Account-Project-Domain-Id", domain)
	}
	for name, n := range map[string]int64{"Container-Count": a.Containers, "Object-Count": a.Objects, "Bytes-Used": a.Bytes} {
		text := strconv.FormatInt(n, 10)
		h.Set("X-Account-"+name, text)
		if a.Containers > 0 {
			h.Set("X-Account-Storage-Policy-"+swift.PolicyName+"-"+name, text)
		}
	}
	h.Set("X-Timestamp", swift.Stamp(a.CreatedAt))
	h.Set("X-Put-Timestamp", swift.Stamp(a.CreatedAt))
	h.Set("Accept-Ranges", "bytes")
	return h
}

func (f *Feature) post(r *swift.Request) (swift.Reply, error) {
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	if err := f.change(r); err != nil {
		return swift.Reply{}, err
	}
	return swift.NoContent(), nil
}

// put makes an account, for resellers.
func (f *Feature) put(r *swift.Request) (swift.Reply, error) {
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	if !r.Reseller {
		return swift.Reply{}, swift.Fail(http.StatusForbidden)
	}
	account, err := f.store.Account(r.Context(), r.Account)
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return swift.Reply{}, err
	case err == nil && account.Deleted:
		return swift.Reply{}, swift.FailText(http.StatusForbidden, "Recently deleted").With("X-Account-Status", "Deleted")
	}
	if err := f.change(r); err != nil {
		return swift.Reply{}, err
	}
	if account == nil {
		return swift.Created(), nil
	}
	return swift.Accepted(), nil
}

func (f *Feature) change(r *swift.Request) error {
	if err := swift.CheckMetadata(r.Header, swift.AccountMeta); err != nil {
		return err
	}
	change := swift.Change(r, swift.AccountMeta, objectstore.HeaderAccountAccess)
	if list, ok := change[objectstore.HeaderAccountAccess]; ok {
		clean, err := access.CleanAccount(list)
		if err != nil {
			return swift.FailText(http.StatusBadRequest, "X-Account-Access-Control invalid: "+err.Error()+"\n\nInput: "+list+"\n")
		}
		change[objectstore.HeaderAccountAccess] = clean
	}
	_, err := f.store.ChangeAccount(r.Context(), r.Account, func(a *objectstore.Account) error {
		if a.Deleted {
			return swift.Fail(http.StatusNotFound)
		}
		if err := swift.Apply(&a.Headers, change, swift.AccountMeta); err != nil {
			return err
		}
		for name, value := range r.Sysmeta {
			a.Headers[name] = value
		}
		swift.NoteDomain(r, a)
		return nil
	}, r.Event())
	return err
}

func (f *Feature) remove(r *swift.Request) (swift.Reply, error) {
	if r.Call.URL.RawQuery != "" {
		return swift.Reply{}, swift.Fail(http.StatusBadRequest)
	}
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	if !r.Reseller {
		return swift.Reply{}, swift.Fail(http.StatusForbidden)
	}
	account, err := f.store.Account(r.Context(), r.Account)
	if err != nil {
		return swift.Reply{}, err
	}
	if account.Deleted {
		return swift.Reply{}, swift.Fail(http.StatusNotFound)
	}
	if err := f.store.DeleteAccount(r.Context(), r.Account, r.Event()); err != nil {
		return swift.Reply{}, err
	}
	return swift.NoContent(), nil
}

// listed is a container in a listing.
type listed struct {
	Name     string `json:"name"`
	Count    int64  `json:"count"`
	Bytes    int64  `json:"bytes"`
	Modified string `json:"last_modified"`
	Policy   string `json:"storage_policy"`
}

func render(account string, entries []objectstore.ContainerEntry, format string, header http.Header) (swift.Reply, error) {
	list := swift.List{Root: "account", Name: account}
	for _, e := range entries {
		if e.Subdir != "" {
			list.Subdir(e.Subdir, false)
			continue
		}
		c := listed{e.Container.Name, e.Container.Objects, e.Container.AllBytes, swift.ListedTime(e.Container.ChangedAt), swift.PolicyName}
		list.Add(c.Name, c, func(x *strings.Builder) {
			swift.Element(x, "name", c.Name)
			swift.Element(x, "count", strconv.FormatInt(c.Count, 10))
			swift.Element(x, "bytes", strconv.FormatInt(c.Bytes, 10))
			swift.Element(x, "last_modified", c.Modified)
			swift.Element(x, "storage_policy", c.Policy)
		})
	}
	return list.Reply(format, "container", "\n", header)
}
