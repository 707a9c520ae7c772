package proxies

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// The rules are ours: upstream leaves both to the image service, which asks its own all the same.
const (
	ruleReadImages  = "os_compute_api:images:show"
	ruleWriteImages = "os_compute_api:images:update"
)

// noImageMetadata is the version in which the metadata of images went.
const noImageMetadata = microversion.Version(2039)

// ImageRules are the policy rules of the proxies to images.
func ImageRules() []policy.Rule {
	scopes := []string{"project"}
	return []policy.Rule{{Name: ruleReadImages, Check: policy.ProjectReaderOrAdmin, Scopes: scopes, Description: "Look at images, by way of Nova."},
		{Name: ruleWriteImages, Check: policy.ProjectMemberOrAdmin, Scopes: scopes, Description: "Delete images and change their metadata, by way of Nova."}}
}

// Images asks the public image API inside this process.
type Images struct{ front func() http.Handler }

// NewImages makes the client. front is called for each request.
func NewImages(front func() http.Handler) *Images { return &Images{front} }

// Routes are the operations of images until 2.36, and of their metadata until 2.39.
func (i *Images) Routes() []rest.Route {
	const all, one, meta, item = "/v2.1/images", "/v2.1/images/{id}", "/v2.1/images/{id}/metadata", "/v2.1/images/{id}/metadata/{key}"
	out := []rest.Route{
		{Method: "GET", Path: all, Rule: ruleReadImages, Handle: i.list(false)},
		{Method: "GET", Path: all + "/detail", Rule: ruleReadImages, Handle: i.list(true)},
		{Method: "GET", Path: one, Rule: ruleReadImages, Handle: i.show},
		{Method: "DELETE", Path: one, Rule: ruleWriteImages, Audit: "delete", Handle: i.remove},
	}
	for k := range out {
		out[k].Until = compute.NoProxies
	}
	metadata := []rest.Route{
		{Method: "GET", Path: meta, Rule: ruleReadImages, Handle: i.metadata},
		{Method: "POST", Path: meta, Rule: ruleWriteImages, Audit: "update", Handle: i.setMetadata(false)},
		{Method: "PUT", Path: meta, Rule: ruleWriteImages, Audit: "update", Handle: i.setMetadata(true)},
		{Method: "GET", Path: item, Rule: ruleReadImages, Handle: i.item},
		{Method: "PUT", Path: item, Rule: ruleWriteImages, Audit: "update", Handle: i.setItem},
		{Method: "DELETE", Path: item, Rule: ruleWriteImages, Audit: "update", Handle: i.removeItem},
	}
	for k := range metadata {
		metadata[k].Until = noImageMetadata
	}
	return append(out, metadata...)
}

func (i *Images) list(detail bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		query, err := imageQuery(c.Values())
		if err != nil {
			return rest.Reply{}, err
		}
		var found struct {
			Images []json.RawMessage `json:"images"`
		}
		if err := i.do(c.Context(), token(c), http.MethodGet, "/images", query, nil, &found); err != nil {
			return rest.Reply{}, err
		}
		views, last := []any{}, ""
		for _, raw := range found.Images {
			p, err := pictureOf(raw)
			if err != nil {
				return rest.Reply{}, err
			}
			last = p.ID
			if detail {
				views = append(views, p.view(c))
			} else {
				views = append(views, map[string]any{"id": p.ID, "name": p.Name, "links": p.links(c)})
			}
		}
		body := map[string]any{"images": views}
		if limit := query.Get("limit"); limit != "" && len(views) > 0 && limit == count(views) {
			next := c.Values()
			next.Set("marker", last)
			body["images_links"] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + next.Encode()}}
		}
		return rest.OK(body)
	}
}

func (i *Images) show(c *rest.Call) (rest.Reply, error) {
	p, err := i.get(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"image": p.view(c)})
}

func (i *Images) remove(c *rest.Call) (rest.Reply, error) {
	if _, err := i.get(c); err != nil {
		return rest.Reply{}, err
	}
	if err := i.do(c.Context(), token(c), http.MethodDelete, "/images/"+c.Var("id"), nil, nil, nil); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (i *Images) metadata(c *rest.Call) (rest.Reply, error) {
	p, err := i.get(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"metadata": p.Properties})
}

// setMetadata adds items, or replaces them all.
func (i *Images) setMetadata(whole bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in struct {
			Metadata map[string]string `json:"metadata" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		p, err := i.get(c)
		if err != nil {
			return rest.Reply{}, err
		}
		want := in.Metadata
		if !whole {
			want = map[string]string{}
			for _, m := range []map[string]string{p.Properties, in.Metadata} {
				for k, v := range m {
					want[k] = v
				}
			}
		}
		if err := i.patch(c, p, want); err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"metadata": want})
	}
}

func (i *Images) item(c *rest.Call) (rest.Reply, error) {
	p, err := i.get(c)
	if err != nil {
		return rest.Reply{}, err
	}
	key := c.Var("key")
	value, ok := p.Properties[key]
	if !ok {
		return rest.Reply{}, fault.NotFoundf("The resource could not be found.")
	}
	return rest.OK(map[string]any{"meta": map[string]string{key: value}})
}

func (i *Images) setItem(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Meta map[string]string `json:"meta" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	key := c.Var("key")
	value, ok := in.Meta[key]
	if !ok || len(in.Meta) != 1 {
		return rest.Reply{}, fault.Invalidf("Request body and URI mismatch")
	}
	p, err := i.get(c)
	if err != nil {
		return rest.Reply{}, err
	}
	want := p.with(key, &value)
	if err := i.patch(c, p, want); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"meta": in.Meta})
}

func (i *Images) removeItem(c *rest.Call) (rest.Reply, error) {
	p, err := i.get(c)
	if err != nil {
		return rest.Reply{}, err
	}
	key := c.Var("key")
	if _, ok := p.Properties[key]; !ok {
		return rest.Reply{}, fault.NotFoundf("Invalid metadata key")
	}
	if err := i.patch(c, p, p.with(key, nil)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (i *Images) get(c *rest.Call) (*picture, error) {
	image := c.Var("id")
	if !id.Valid(image) {
		return nil, fault.NotFoundf("Image not found.")
	}
	var raw json.RawMessage
	err := i.do(c.Context(), token(c), http.MethodGet, "/images/"+image, nil, nil, &raw)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Image not found.")
	}
	if err != nil {
		return nil, err
	}
	return pictureOf(raw)
}

// patch makes the properties of an image those wanted.
func (i *Images) patch(c *rest.Call, p *picture, want map[string]string) error {
	ops := p.changes(want)
	if len(ops) == 0 {
		return nil
	}
	return i.do(c.Context(), token(c), http.MethodPatch, "/images/"+p.ID, nil, ops, nil)
}

// do sends a request with a caller's token. out may be nil.
func (i *Images) do(ctx context.Context, token, method, path string, query url.Values, in, out any) error {
	content, err := json.Marshal(in)
	if err != nil {
		return fault.Internalf("encode request to images: %w", err)
	}
	if in == nil {
		content = nil
	}
	address := "http://local/image/v2" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return fault.Internalf("request to images: %w", err)
	}
	r.RequestURI = r.URL.RequestURI()
	r.Header.Set("X-Auth-Token", token)
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/openstack-images-v2.1-json-patch")
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	i.front().ServeHTTP(a, r)
	if a.status >= http.StatusBadRequest {
		return fault.New(kinds[a.status], "%s", imageWords(a))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body.Bytes(), out); err != nil {
		return fault.Internalf("answer of images to %s %s: %w", method, path, err)
	}
	return nil
}

// imageWords is what the image service says in its refusal: the text of a small page.
func imageWords(a *answer) string {
	text := a.body.String()
	if _, rest, ok := strings.Cut(text, "<body>"); ok {
		text = rest
	}
	_, text, _ = strings.Cut(text, "</h1>")
	text, _, _ = strings.Cut(text, "</body>")
	text = strings.TrimSpace(strings.NewReplacer("<br />", " ", "<br/>", " ").Replace(text))
	if text == "" {
		return "The image service refused the request."
	}
	return text
}

func (p *picture) view(c *rest.Call) map[string]any {
	out := map[string]any{"id": p.ID, "name": p.Name, "minRam": p.MinRAM, "minDisk": p.MinDisk, "metadata": p.Properties, "created": p.Created,
		"updated": p.Updated, "status": "UNKNOWN", "progress": imageProgress[p.Status], "OS-EXT-IMG-SIZE:size": p.Size, "links": p.links(c)}
	if s, ok := imageStatuses[p.Status]; ok {
		out["status"] = s
	}
	if server := p.Properties["instance_uuid"]; server != "" {
		out["server"] = map[string]any{"id": server, "links": []map[string]string{{"rel": "self", "href": c.Link("/v2.1/servers/" + server)},
			{"rel": "bookmark", "href": c.Link("/servers/" + server)}}}
	}
	if auto, ok := p.Properties["auto_disk_config"]; ok {
		out["OS-DCF:diskConfig"] = "MANUAL"
		if on, _ := rest.ParseBool(auto); on { // anything else is no
			out["OS-DCF:diskConfig"] = "AUTO"
		}
	}
	return out
}

func (p *picture) links(c *rest.Call) []map[string]string {
	return []map[string]string{{"rel": "self", "href": c.Link("/v2.1/images/" + p.ID)}, {"rel": "bookmark", "href": c.Link("/images/" + p.ID)},
		{"rel": "alternate", "type": "application/vnd.openstack.image", "href": c.Root() + "/image/images/" + p.ID}}
}
