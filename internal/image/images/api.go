package images

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Routes are the operations on records of images.
func (s *Images) Routes() []rest.Route {
	a := api{s}
	const one = "/v2/images/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v2/images", Rule: "get_images", Handle: a.list},
		{Method: "POST", Path: "/v2/images", Rule: "add_image", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_image", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "modify_image", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_image", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "POST", Path: one + "/actions/deactivate", Rule: "deactivate", Object: true, Audit: "deactivate", Handle: a.deactivate},
		{Method: "POST", Path: one + "/actions/reactivate", Rule: "reactivate", Object: true, Audit: "reactivate", Handle: a.reactivate},
		{Method: "PUT", Path: one + "/tags/{tag}", Rule: "modify_image", Object: true, Audit: "tag", Handle: a.addTag},
		{Method: "DELETE", Path: one + "/tags/{tag}", Rule: "modify_image", Object: true, Audit: "untag", Handle: a.removeTag},
	}
}

type api struct{ images *Images }

// Find loads the image of a request's path and authorises the route's rule on
// it. What the caller does not see does not exist.
func (s *Images) Find(c *rest.Call) (*image.Image, string, error) {
	i, err := s.Get(c.Context(), c.Var("id"))
	if err != nil {
		return nil, "", err
	}
	member, err := s.Membership(c.Context(), i.ID, c.Auth.ProjectID)
	if err != nil {
		return nil, "", err
	}
	t := target(c, i, member)
	seen := i.Visible(c.Auth.ProjectID, member) || c.Allow("context_is_admin", t)
	if !seen || !c.Allow("get_image", t) {
		return nil, "", notFound(i.ID)
	}
	return i, member, c.Authorize(t)
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	if strings.HasSuffix(c.URL.Path, "/images/") { // an image whose id is empty, not the list
		return rest.Reply{}, fault.NotFoundf("The resource could not be found.")
	}
	s, err := parseQuery(c.Values())
	if err != nil {
		return rest.Reply{}, err
	}
	found := []*image.Image{}
	if s.Limit > 0 {
		who := viewer{project: c.Auth.ProjectID, all: c.Allow("context_is_admin", policy.Target{})}
		if found, err = list(c.Context(), a.images.DB, s, who); err != nil {
			return rest.Reply{}, err
		}
	}
	views := make([]map[string]any, 0, len(found))
	for _, i := range found {
		views = append(views, view(i))
	}
	query := url.Values{}
	for name, values := range c.Values() {
		query[name] = values
	}
	query.Del("marker")
	body := map[string]any{"images": views, "schema": "/v2/schemas/images", "first": address(query)}
	if len(found) > 0 && len(found) == s.Limit {
		query.Set("marker", found[len(found)-1].ID)
		body["next"] = address(query)
	}
	return rest.OK(body)
}

func address(query url.Values) string {
	if len(query) == 0 {
		return "/v2/images"
	}
	return "/v2/images?" + query.Encode()
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	i, err := newImage(c.Payload(), id.New(), c.Auth.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	t := target(c, i, "")
	if err := c.Authorize(t); err != nil {
		if i.Owner != c.Auth.ProjectID {
			err = fault.Forbiddenf("You are not permitted to create images owned by '%s'", i.Owner)
		}
		return rest.Reply{}, err
	}
	if err := mayBe(c, i.Visibility, t); err != nil {
		return rest.Reply{}, err
	}
	made, err := a.images.Insert(c.Context(), i, c.Event("image", i.ID, i.Owner))
	if err != nil {
		return rest.Reply{}, err
	}
	reply, err := rest.Created(view(made))
	return reply.With("Location", c.Link("/v2/images/"+made.ID)).With("OpenStack-image-import-methods", strings.Join(a.images.Methods, ",")).
		With("OpenStack-image-store-ids", StoreID), err
}

// mayBe asks the rule that some visibilities have.
func mayBe(c *rest.Call, v image.Visibility, t policy.Target) error {
	rule := map[image.Visibility]string{image.Public: "publicize_image", image.Community: "communitize_image"}[v]
	if rule == "" || c.Allow(rule, t) {
		return nil
	}
	return fault.Forbiddenf("You are not authorized to complete %s action.", rule)
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	i, _, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(i))
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		kind = "" // refused by parsePatch, with what is expected
	}
	steps, err := parsePatch(c.Payload(), kind)
	if err != nil {
		return rest.Reply{}, err
	}
	i, member, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	t := target(c, i, member)
	admin := c.Allow("context_is_admin", t)
	changed, err := a.images.Update(c.Context(), i.ID, c.Event("image", i.ID, i.Owner), func(i *image.Image) error {
		for _, step := range steps {
			if step.name == "owner" && step.op != "remove" && !admin {
				return fault.Forbiddenf("Owner can't be updated by non admin.")
			}
			before := i.Visibility
			if err := step.apply(i); err != nil {
				return err
			}
			if i.Visibility != before {
				if err := mayBe(c, i.Visibility, t); err != nil {
					return err
				}
			}
		}
		return withinLimits(i)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(changed))
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	i, _, err := a.images.Find(c)
	if err == nil {
		err = a.images.Delete(c.Context(), i.ID, c.Event("image", i.ID, i.Owner), false)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a api) deactivate(c *rest.Call) (rest.Reply, error) {
	return a.move(c, image.Active, image.Deactivated)
}

func (a api) reactivate(c *rest.Call) (rest.Reply, error) {
	return a.move(c, image.Deactivated, image.Active)
}

func (a api) move(c *rest.Call, from, to image.Status) (rest.Reply, error) {
	i, _, err := a.images.Find(c)
	if err == nil {
		err = a.images.setStatus(c.Context(), i.ID, from, to, c.Event("image", i.ID, i.Owner))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a api) addTag(c *rest.Call) (rest.Reply, error) {
	tag := c.Var("tag")
	if len([]rune(tag)) > maxText {
		return rest.Reply{}, mismatch("tags", "a tag is too long")
	}
	return a.retag(c, func(i *image.Image) error {
		i.Tags = withTag(i.Tags, tag)
		return withinLimits(i)
	})
}

func (a api) removeTag(c *rest.Call) (rest.Reply, error) {
	tag := c.Var("tag")
	return a.retag(c, func(i *image.Image) error {
		left := withoutTag(i.Tags, tag)
		if len(left) == len(i.Tags) {
			return fault.NotFoundf("The resource could not be found.")
		}
		i.Tags = left
		return nil
	})
}

func (a api) retag(c *rest.Call, change func(*image.Image) error) (rest.Reply, error) {
	i, _, err := a.images.Find(c)
	if err == nil {
		_, err = a.images.Update(c.Context(), i.ID, c.Event("image", i.ID, i.Owner), change)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{Status: http.StatusNoContent}, nil
}
