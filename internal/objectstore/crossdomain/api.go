// Package crossdomain serves crossdomain.xml, by which plug-ins of browsers ask
// whether pages of other sites may read from here: every site may, as Swift's
// default says, since nothing is read without a token or a public access list.
package crossdomain

import (
	"net/http"

	"github.com/mekcloud/mek/internal/rest"
)

const document = `<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >
<cross-domain-policy>
<allow-access-from domain="*" secure="false" />
</cross-domain-policy>`

// Routes are the addresses outside of /v1.
func Routes() []rest.Route {
	return []rest.Route{{Method: http.MethodGet, Path: "/crossdomain.xml", Open: true, Raw: true, Handle: show}}
}

// Info is the section of /info.
func Info() map[string]map[string]any { return map[string]map[string]any{"crossdomain": {}} }

func show(*rest.Call) (rest.Reply, error) {
	return rest.Reply{Status: http.StatusOK, Body: []byte(document), Header: http.Header{"Content-Type": {"application/xml; charset=UTF-8"}}}, nil
}
