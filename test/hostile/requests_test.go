package hostile

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

// target is what is known of an operation: what its handler decodes, and the
// parameters that its list takes.
type target struct {
	op     *world.Operation
	bodies map[reflect.Type]string // type to the member that has it
	params map[string]bool
}

// attack is one request of the run.
type attack struct {
	q        world.Question
	who      *world.Person
	rehearse bool
}

func (d *dice) attack(t *target, people world.People) attack {
	var a attack
	a.who = d.caller(people)
	d.guest = a.who != nil && a.who.Name == guest
	at := d.version(t.op)
	a.q = world.Question{Method: t.op.Route.Method, Path: d.path(t.op) + d.query(t), Header: http.Header{}}
	d.headers(&a.q, t.op, at)
	if t.op.Mutates() && !d.chance(5) || d.chance(3) {
		a.q.Body = d.body(t, at)
		a.q.Header.Set("Content-Type", pick(d, "application/json", "application/json", "application/json", "application/json", "application/json; charset=utf-7", "text/plain",
			"application/octet-stream", "application/x-www-form-urlencoded", "application/openstack-images-v2.1-json-patch", "multipart/form-data; boundary=x", "", d.header()))
	}
	if d.chance(4) {
		a.q.Method = pick(d, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "COPY", "TRACE", "PROPFIND", "get")
	}
	// What the world consists of must last: only the guest, who owns nothing of it, changes things for good.
	a.rehearse = a.who == nil || a.who.Name != guest
	return a
}

// guest is whose requests are no rehearsals: its project's quota bounds what it leaves.
const guest = "member of another project"

func (d *dice) caller(people world.People) *world.Person {
	switch n := d.IntN(100); {
	case n < 45:
		return people.Named("project admin")
	case n < 60:
		return people.Named("project member")
	case n < 70:
		return people.Named("system admin")
	case n < 88:
		return people.Named(guest)
	case n < 90:
		return &world.Person{Name: "stranger", Token: d.header()}
	}
	return people[d.IntN(len(people))]
}

func (d *dice) version(op *world.Operation) microversion.Version {
	oldest, newest := op.Range()
	if newest <= oldest || d.chance(40) {
		return newest
	}
	return oldest + microversion.Version(d.IntN(int(newest-oldest)+1))
}

// header is a value that fits into a header line.
func (d *dice) header() string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, d.nasty())
}

func (d *dice) headers(q *world.Question, op *world.Operation, at microversion.Version) {
	if v := op.Service.Dialect.Versions; v != nil && d.chance(95) {
		q.Header.Set("OpenStack-API-Version", v.Types[0]+" "+at.String())
		if d.chance(4) {
			q.Header.Set("OpenStack-API-Version", v.Types[0]+" "+pick(d, "latest", "2.999", "0.0", "-1", d.header()))
		}
	}
	if strings.Contains(op.Route.Path, "/auth/tokens") {
		q.Header.Set("X-Subject-Token", pick(d, d.w.Things["second token"], d.header()))
	}
	for range pick(d, 0, 0, 0, 1, 2) {
		name := pick(d, "X-HTTP-Method-Override", "X-Roles", "X-Project-Id", "If-Match", "If-None-Match", "If-Modified-Since", "Range", "Accept", "Accept-Encoding", "Accept-Language",
			"X-Service-Token", "X-Forwarded-Proto", "X-Forwarded-Host", "Host", "Content-Encoding", "Content-Range", "Transfer-Encoding", "Origin", "Cookie", "X-Timestamp",
			"X-Delete-At", "X-Delete-After", "X-Object-Meta-A", "X-Copy-From", "X-Object-Manifest", "X-Container-Read", "X-Symlink-Target", "X-Openstack-Request-Id", "X-Trans-Id-Extra",
			"X-Newest", "X-Versions-Location", "X-Account-Meta-Temp-URL-Key", "Destination", "X-Image-Meta-Store", "X-Client-Token", "Authorization", "ETag", "Expect")
		q.Header.Set(name, pick(d, d.header(), "bytes=0-", "bytes=5-1", "bytes=-0", "bytes=0-0,2-3", "*", "revision_number=1", "admin", "DELETE", "text/html", "/box/thing", "box/thing", "1"))
	}
}

// path fills the placeholders with what is there, what is elsewhere, what is nowhere.
func (d *dice) path(op *world.Operation) string {
	path, _, _ := d.w.Path(op.Service.Name, op.Route.Path)
	if d.guest {
		if collection, id := d.own.of(d, op); id != "" && d.chance(85) {
			segs := strings.Split(path, "/")
			segs[strings.Count(collection, "/")+1] = id
			path = strings.Join(segs, "/")
		}
	}
	if d.chance(25) {
		segs, pattern := strings.Split(path, "/"), strings.Split(op.Route.Path, "/")
		for i := range segs {
			if strings.HasPrefix(pattern[i], "{") && d.chance(50) {
				segs[i] = url.PathEscape(pick(d, d.nasty(), d.id()))
			}
		}
		path = strings.Join(segs, "/")
	} else {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	if d.chance(3) {
		path = pick(d, path+"/", path+".json", "/"+path, strings.Replace(path, "/", "//", 1), path+"/x", path+"%", path+"%2f", path+";a=b", strings.ToUpper(path))
	}
	return op.Service.Prefix + path
}

var parameters = []string{"limit", "marker", "sort_key", "sort_dir", "sort", "fields", "all_tenants", "all_projects", "page_reverse", "offset", "name", "id", "status", "changes-since",
	"changes-before", "tags", "not-tags", "with_count", "usage", "format", "prefix", "delimiter", "end_marker", "reverse", "multipart-manifest", "bulk-delete", "extract-archive", "temp_url_sig",
	"temp_url_expires", "required", "resources", "in_tree", "member_of", "group_policy", "host", "detailed", "is_public", "updated_at", "created_at", "include_names", "effective", "scope.project.id"}

func (d *dice) query(t *target) string {
	if !d.chance(35) {
		return ""
	}
	values := url.Values{}
	for range pick(d, 1, 1, 2, 3, 6) {
		name := pick(d, parameters...)
		if len(t.params) > 0 && d.chance(70) {
			n := d.IntN(len(t.params))
			for param := range t.params { // maps have no order: which one does not matter
				if n--; n < 0 {
					name = param
				}
			}
		}
		values.Add(name, pick(d, d.nasty(), d.id(), "1", "asc", "id", "true", "name:asc", "VCPU:1"))
	}
	if d.chance(3) {
		return "?" + pick(d, "%", "&&&=", "a=%zz", "=", "a;b=c", strings.Repeat("a=b&", 3000))
	}
	return "?" + values.Encode()
}

// body is one that the handler decodes, with what it does not expect in places.
func (d *dice) body(t *target, at microversion.Version) []byte {
	var content any = d.junk(0)
	member := ""
	if len(t.bodies) > 0 && d.chance(92) {
		n := d.IntN(len(t.bodies))
		for kind, of := range t.bodies {
			if n--; n < 0 {
				content, member = d.value(kind, nil, at, 0), of
				break
			}
		}
	}
	out := t.op.Wrap(member, content)
	if d.chance(6) {
		return d.broken(out)
	}
	if !json.Valid(out) {
		return []byte("{}")
	}
	return out
}
