package s3

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

const (
	everybody     = "http://acs.amazonaws.com/groups/global/AllUsers"
	schema        = "http://www.w3.org/2001/XMLSchema-instance"
	publicRead    = ".r:*,.rlistings"
	canonicalUser = "CanonicalUser"
)

// lists are Swift's access lists of a container that stand for an S3 one.
type lists struct{ read, write []string }

func (l *lists) apply(b *objectstore.Container) {
	if b.Headers == nil {
		b.Headers = objectstore.Headers{}
	}
	for name, list := range map[string][]string{objectstore.HeaderRead: l.read, objectstore.HeaderWrite: l.write} {
		if len(list) == 0 {
			delete(b.Headers, name)
		} else {
			b.Headers[name] = strings.Join(list, ",")
		}
	}
}

// canned gives the lists of one of Amazon's ready-made access lists.
func canned(name string) (*lists, error) {
	switch name {
	case "private", "bucket-owner-full-control", "bucket-owner-read":
		return &lists{}, nil
	case "public-read":
		return &lists{read: []string{publicRead}}, nil
	case "public-read-write":
		return nil, noPublicWrite()
	case "authenticated-read", "log-delivery-write":
		return nil, failure.New(failure.NotImplemented)
	}
	return nil, argument("x-amz-acl", name, "Invalid Argument.")
}

func noPublicWrite() error {
	return failure.Newf(failure.InvalidRequest, "Referrers not allowed in write ACL: '.r:*'")
}

// grantHeaders give single grants, each a list of id="…" and uri="…".
var grantHeaders = map[string]string{"X-Amz-Grant-Read": "READ", "X-Amz-Grant-Write": "WRITE", "X-Amz-Grant-Read-Acp": "READ_ACP",
	"X-Amz-Grant-Write-Acp": "WRITE_ACP", "X-Amz-Grant-Full-Control": "FULL_CONTROL"}

// headerLists reads the access list that a request's headers give; nil without any.
func (c *call) headerLists() (*lists, error) {
	name := c.Header.Get("X-Amz-Acl")
	var grants []document.SentGrant
	for header, permission := range grantHeaders {
		for word := range strings.SplitSeq(c.Header.Get(header), ",") {
			kind, who, ok := strings.Cut(strings.TrimSpace(word), "=")
			who = strings.Trim(who, `"`)
			switch {
			case word == "":
			case ok && kind == "id":
				grants = append(grants, document.SentGrant{Permission: permission, Grantee: document.SentGrantee{Type: canonicalUser, ID: who}})
			case ok && kind == "uri":
				grants = append(grants, document.SentGrant{Permission: permission, Grantee: document.SentGrantee{Type: "Group", URI: who}})
			case ok && kind == "emailAddress":
				return nil, failure.New(failure.NotImplemented)
			default:
				return nil, argument(strings.ToLower(header), word, "Invalid Argument.")
			}
		}
	}
	switch {
	case name != "" && grants != nil:
		return nil, failure.Newf(failure.InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
	case name != "":
		return canned(name)
	case grants != nil:
		return c.granted(grants)
	}
	return &lists{}, nil
}

// granted turns grants into Swift's lists. The owner's own is what he has anyway.
func (c *call) granted(grants []document.SentGrant) (*lists, error) {
	l := &lists{}
	for _, g := range grants {
		who := g.Grantee
		switch {
		case !slices.Contains([]string{"READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"}, g.Permission):
			return nil, failure.New(failure.MalformedACL)
		case who.Type == canonicalUser && who.ID == c.owner().ID:
		case who.Type == "Group" && who.URI == everybody && g.Permission == "READ":
			l.read = append(l.read, publicRead)
		case who.Type == "Group" && who.URI == everybody && g.Permission == "WRITE":
			return nil, noPublicWrite()
		case who.Type == canonicalUser && (g.Permission == "READ" || g.Permission == "WRITE"):
			member, err := grantee(who.ID)
			if err != nil {
				return nil, err
			}
			if g.Permission == "READ" {
				l.read = append(l.read, member)
			} else {
				l.write = append(l.write, member)
			}
		case who.Type == canonicalUser || who.Type == "Group" || who.Type == "AmazonCustomerByEmail":
			return nil, failure.New(failure.NotImplemented) // Swift's lists cannot say it
		default:
			return nil, failure.New(failure.MalformedACL)
		}
	}
	return l, nil
}

// grantee is somebody else as Swift's lists have it: "project:user", either of
// them an id, a name or "*".
func grantee(who string) (string, error) {
	project, user, ok := strings.Cut(who, ":")
	if !ok || project == "" || user == "" || strings.ContainsAny(who, ", \t\r\n%") || strings.HasPrefix(who, ".") {
		return "", argument("CanonicalUser/ID", who, "Invalid id")
	}
	return who, nil
}

// checkCannedACL checks the list that comes with an object. Swift has none of
// objects: a list that it could keep for a bucket is taken for granted, as Swift does.
func (c *call) checkCannedACL() error {
	name := c.Header.Get("X-Amz-Acl")
	if name == "" || name == "public-read-write" {
		return nil
	}
	_, err := canned(name)
	return err
}

// getACL shows a container's lists as S3's, also for objects.
func (c *call) getACL() (*reply, error) {
	b, err := c.enter(toOwn)
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		k := objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key, Version: c.query.Get("versionId")}
		if _, err := c.s.Store.Head(c.Context(), k); fault.Is(err, fault.NotFound) {
			return nil, c.missing(b, k)
		} else if err != nil {
			return nil, err
		}
	}
	who := c.owner()
	user := func(id, permission string) document.Grant {
		return document.Grant{Permission: permission, Grantee: document.Grantee{Space: schema, Type: canonicalUser, ID: id, DisplayName: id}}
	}
	body := document.AccessList{Owner: who, Grants: []document.Grant{user(who.ID, "FULL_CONTROL")}}
	for _, l := range []struct{ text, permission string }{{b.Headers[objectstore.HeaderRead], "READ"}, {b.Headers[objectstore.HeaderWrite], "WRITE"}} {
		list := access.Parse(l.text)
		if list.Referrer("") {
			body.Grants = append(body.Grants, document.Grant{Permission: l.permission, Grantee: document.Grantee{Space: schema, Type: "Group", URI: everybody}})
		}
		for _, g := range list.Groups {
			if strings.Contains(g, ":") {
				body.Grants = append(body.Grants, user(g, l.permission))
			}
		}
	}
	return answer(body)
}

// putBucketACL replaces a container's lists.
func (c *call) putBucketACL() (*reply, error) {
	b, err := c.enter(toOwn)
	if err != nil {
		return nil, err
	}
	byHeader := c.Header.Get("X-Amz-Acl") != ""
	for header := range grantHeaders {
		byHeader = byHeader || c.Header.Get(header) != ""
	}
	l, err := c.headerLists()
	if err != nil {
		return nil, err
	}
	var sent document.AccessPolicy
	found, err := c.document("AccessControlPolicy", maxACLBody, false, &sent)
	switch {
	case failure.Is(err, failure.MalformedXML):
		return nil, failure.New(failure.MalformedACL)
	case err != nil:
		return nil, err
	case found && byHeader:
		return nil, failure.New(failure.UnexpectedContent)
	case !found && !byHeader:
		return nil, failure.New(failure.MissingSecurityHeader).With("MissingHeaderName", "x-amz-acl")
	case found:
		if l, err = c.granted(sent.Grants); err != nil {
			return nil, err
		}
	}
	if err := c.changeBucket(b, l.apply); err != nil {
		return nil, err
	}
	return empty(http.StatusOK).with("Location", b.Name), nil
}

// putObjectACL is refused as Swift refuses it: its objects have no lists.
func (c *call) putObjectACL() (*reply, error) {
	if _, err := c.enter(toOwn); err != nil {
		return nil, err
	}
	return nil, failure.New(failure.NotImplemented)
}
