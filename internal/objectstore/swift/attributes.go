package swift

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore"
)

// PolicyName is the name of the only storage policy.
const PolicyName = "Policy-0"

// MarkerType is the content type by which Swift knows delete markers.
const MarkerType = "application/x-deleted;swift_versions_deleted=1"

// NoLength is Request.Length of a request that says nothing about its body.
const NoLength = -2

// ownersOnly are attributes that only an account's owner sees and sets.
var ownersOnly = []string{"X-Container-Read", "X-Container-Write", "X-Container-Sync-Key", "X-Container-Sync-To", "X-Account-Meta-Temp-Url-Key",
	"X-Account-Meta-Temp-Url-Key-2", "X-Container-Meta-Temp-Url-Key", "X-Container-Meta-Temp-Url-Key-2", "X-Account-Access-Control"}

// Show adds the attributes a caller may see to the headers of an answer.
func Show(into http.Header, attributes objectstore.Headers, owner bool) {
	for name, value := range attributes {
		if strings.HasPrefix(name, "X-Sysmeta-") || !owner && slices.Contains(ownersOnly, name) {
			continue
		}
		into[name] = []string{value}
	}
}

// Change is what a request does to the attributes of an account or container:
// new values, empty ones to remove. prefix is AccountMeta or ContainerMeta;
// others are further attributes that it may set.
func Change(r *Request, prefix string, others ...string) objectstore.Headers {
	change := objectstore.Headers{}
	remove := "X-Remove-" + strings.TrimPrefix(prefix, "X-")
	for name := range r.Header {
		value := r.Header.Get(name)
		switch plain := "X-" + strings.TrimPrefix(name, "X-Remove-"); {
		case strings.HasPrefix(name, prefix), slices.Contains(others, name):
			change[name] = value
		case strings.HasPrefix(name, remove) && len(name) > len(remove), strings.HasPrefix(name, "X-Remove-") && slices.Contains(others, plain):
			if r.Header.Get(plain) == "" {
				change[plain] = ""
			}
		}
	}
	if !r.Owner {
		for _, name := range ownersOnly {
			delete(change, name)
		}
	}
	return change
}

// Apply makes a change to attributes, and checks their sum.
func Apply(to *objectstore.Headers, change objectstore.Headers, prefix string) error {
	if *to == nil {
		*to = objectstore.Headers{}
	}
	grew := false
	for name, value := range change {
		if value == "" {
			delete(*to, name)
			continue
		}
		grew = grew || strings.HasPrefix(name, prefix)
		(*to)[name] = value
	}
	if !grew {
		return nil
	}
	return CheckKept(*to, prefix)
}
