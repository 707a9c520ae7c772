package objectstoreapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/rest"
)

func dialect() rest.Dialect {
	return rest.Dialect{
		Error: failure, KeepSuffix: true, KeepSlash: true, Path: canonical, RequestID: transaction, RequestIDHeaders: []string{"X-Trans-Id"},
		Base: map[string]string{"v1.0": "v1"},
	}
}

// transaction makes the id that Swift calls X-Trans-Id: "tx", 21 random digits,
// the second, and what the client adds to tell its requests apart.
func transaction(r *http.Request, now time.Time) string {
	random := strings.ReplaceAll(id.New(), "-", "")[:21]
	suffix := ""
	if extra := r.Header.Get("X-Trans-Id-Extra"); extra != "" {
		suffix = "-" + swift.Quote(extra[:min(len(extra), 32)])
	}
	return fmt.Sprintf("tx%s-%010x%s", random, now.Unix(), suffix)
}

// canonical cuts a path into version, account, container and object as Swift
// does, after its escapes are gone: an escaped slash is a slash.
func canonical(escaped string) (string, error) {
	if !strings.HasPrefix(escaped, "/v1") {
		return escaped, nil
	}
	path := swift.Unquote(escaped)
	if !swift.ValidText(path) {
		return "", fault.New(fault.PreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	parts := strings.SplitN(path[1:], "/", 4)
	for len(parts) > 1 && parts[len(parts)-1] == "" { // "/v1/account/" is the account
		parts = parts[:len(parts)-1]
	}
	for i, p := range parts {
		if p == "" {
			return "", fault.New(fault.NotFound, "")
		}
		parts[i] = url.PathEscape(p)
	}
	if len(parts) == 1 {
		return "", fault.New(fault.PreconditionFailed, "Bad URL")
	}
	return "/" + strings.Join(parts, "/"), nil
}

// failure says what went wrong before a request reached the pipeline.
func failure(c *rest.Call, status int, f *fault.Fault) rest.Reply {
	r := &swift.Request{Call: c, Method: c.Method, Target: target(c)}
	out := swift.Fail(status)
	switch {
	case f.Code == rest.CodeNoMethod:
		out = swift.Fail(http.StatusMethodNotAllowed).With("Allow", strings.Join(c.Methods(), ", "))
	case f.Kind == fault.PreconditionFailed:
		out.Text = f.Text
	}
	return out.Reply(r)
}

func target(c *rest.Call) swift.Target {
	return swift.Target{Account: c.Var("account"), Container: c.Var("container"), Object: c.Var("object")}
}
