package objectstoreapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/rest"
)

// endpoints answers /endpoints: from where the bytes of an object can be had. There
// is no ring here, whose servers could be named: it is this address. Who may read
// the object may ask.
func (s *Service) endpoints(c *rest.Call) (rest.Reply, error) {
	return swift.Settled(s.endpointsOf)(&swift.Request{Call: c, Method: http.MethodHead, Target: target(c), By: s.auth, Header: c.Header})
}

func (s *Service) endpointsOf(r *swift.Request) (swift.Reply, error) {
	version := "v1"
	if r.Account == "v1" || r.Account == "v1.0" || r.Account == "v2" {
		container, object, ok := strings.Cut(r.Object, "/")
		version, r.Target = r.Account, swift.Target{Account: r.Container, Container: container, Object: object}
		if !ok {
			return swift.Reply{}, swift.Fail(http.StatusNotFound)
		}
	}
	acl := ""
	container, err := s.deps.Store.Container(r.Context(), r.Account, r.Container)
	if err == nil {
		acl = container.Headers[objectstore.HeaderRead]
	} else if !fault.Is(err, fault.NotFound) {
		return swift.Reply{}, err
	}
	if err := r.Authorize(acl); err != nil {
		return swift.Reply{}, err
	}
	urls := []string{r.Call.Root() + r.Target.Path()}
	var body any = urls
	if version == "v2" {
		body = map[string]any{"endpoints": urls, "headers": map[string]string{}}
	}
	content, err := json.Marshal(body)
	if err != nil {
		return swift.Reply{}, err
	}
	return swift.Reply{Status: http.StatusOK, Body: content, Header: http.Header{"Content-Type": {"application/json"}}}, nil
}
