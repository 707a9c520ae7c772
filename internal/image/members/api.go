package members

import (
	"encoding/json"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/rest"
)

// Images finds images. Find loads the one of the request's path for the
// caller, with the status of its membership, and authorises the route's rule.
type Images interface {
	Find(c *rest.Call) (*image.Image, string, error)
}

// Members is the feature. Safe for concurrent use.
type Members struct {
	db     *db.DB
	clock  clock.Clock
	images Images
}

// New makes the feature.
func New(d *db.DB, c clock.Clock, images Images) *Members { return &Members{d, c, images} }

// Routes are the operations on an image's members.
func (s *Members) Routes() []rest.Route {
	const list, one = "/v2/images/{id}/members", "/v2/images/{id}/members/{member}"
	return []rest.Route{
		{Method: "GET", Path: list, Rule: "get_members", Object: true, Handle: s.list},
		{Method: "POST", Path: list, Rule: "add_member", Object: true, Audit: "create", Handle: s.create},
		{Method: "GET", Path: one, Rule: "get_member", Object: true, Handle: s.show},
		{Method: "PUT", Path: one, Rule: "modify_member", Object: true, Audit: "update", Handle: s.update},
		{Method: "DELETE", Path: one, Rule: "delete_member", Object: true, Audit: "delete", Handle: s.delete},
	}
}

// shared finds the image, which must be a shared one.
func (s *Members) shared(c *rest.Call) (*image.Image, error) {
	i, _, err := s.images.Find(c)
	if err != nil {
		return nil, err
	}
	if i.Visibility != image.Shared {
		return nil, fault.Forbiddenf("Only shared images have members.")
	}
	return i, nil
}

// owns tells whether the caller sees all members of the image.
func owns(c *rest.Call, i *image.Image) bool {
	return i.Owner == c.Auth.ProjectID || c.Allow("context_is_admin", c.Caller())
}

// member finds the member of the path. Others' memberships do not exist for a member.
func (s *Members) member(c *rest.Call) (*image.Image, *Member, error) {
	i, err := s.shared(c)
	if err != nil {
		return nil, nil, err
	}
	project := c.Var("member")
	if !owns(c, i) && project != c.Auth.ProjectID {
		return nil, nil, fault.NotFoundf("%s not found in the member list of the image %s.", project, i.ID)
	}
	m, err := s.get(c.Context(), i.ID, project)
	return i, m, err
}

func view(m *Member) map[string]any {
	at := func(us int64) string { return clock.FromMicros(us).Format("2006-01-02T15:04:05Z") }
	return map[string]any{"image_id": m.ImageID, "member_id": m.Project, "status": m.Status,
		"created_at": at(m.CreatedAt), "updated_at": at(m.UpdatedAt), "schema": "/v2/schemas/member"}
}

func (s *Members) list(c *rest.Call) (rest.Reply, error) {
	i, err := s.shared(c)
	if err != nil {
		return rest.Reply{}, err
	}
	found, err := all(c.Context(), s.db, i.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	views := []map[string]any{}
	for _, m := range found {
		if owns(c, i) || m.Project == c.Auth.ProjectID {
			views = append(views, view(m))
		}
	}
	return rest.OK(map[string]any{"members": views, "schema": "/v2/schemas/members"})
}

// word reads the one member of a body that counts.
func word(c *rest.Call, name, missing string) (string, error) {
	if len(c.Payload()) == 0 {
		return "", fault.Invalidf("Body expected in request.")
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(c.Payload(), &body); err != nil {
		return "", fault.Invalidf("Expected a %s in the form: {\"%s\": \"…\"}", name, name).Because(err)
	}
	raw, ok := body[name]
	if !ok {
		return "", fault.Invalidf("%s not specified", missing)
	}
	var value string
	if err := json.Unmarshal(raw, &value); err != nil || value == "" {
		return "", fault.Invalidf("%s must be a word that is not empty", missing)
	}
	return value, nil
}

func (s *Members) create(c *rest.Call) (rest.Reply, error) {
	project, err := word(c, "member", "Member to be added")
	if err != nil {
		return rest.Reply{}, err
	}
	if len(project) > 255 {
		return rest.Reply{}, fault.Invalidf("Member is longer than 255 characters")
	}
	i, err := s.shared(c)
	if err != nil {
		return rest.Reply{}, err
	}
	m, err := s.add(c.Context(), i.ID, project, c.Event("image_member", i.ID, i.Owner))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(m))
}

func (s *Members) show(c *rest.Call) (rest.Reply, error) {
	_, m, err := s.member(c)
	if fault.Is(err, fault.Forbidden) { // there is nothing to see: not even that
		err = fault.NotFoundf("%s not found in the member list of the image %s.", c.Var("member"), c.Var("id"))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(m))
}

func (s *Members) update(c *rest.Call) (rest.Reply, error) {
	status, err := word(c, "status", "Status")
	if err != nil {
		return rest.Reply{}, err
	}
	i, m, err := s.member(c)
	if err == nil {
		m, err = s.setStatus(c.Context(), m, status, c.Event("image_member", i.ID, i.Owner))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(m))
}

func (s *Members) delete(c *rest.Call) (rest.Reply, error) {
	i, m, err := s.member(c)
	if err == nil {
		err = s.remove(c.Context(), m, c.Event("image_member", i.ID, i.Owner))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
