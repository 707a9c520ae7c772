package transfers

import (
	"encoding/json"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/rest"
)

// addLocation has the bytes of an image brought from an address that stays its
// location.
func (a api) addLocation(c *rest.Call) (rest.Reply, error) {
	l, err := parseLocation(c.Payload())
	if err != nil {
		return rest.Reply{}, err
	}
	i, _, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.locate(c, i, l); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// locate begins that and gives its task.
func (a api) locate(c *rest.Call, i *image.Image, l location) (string, error) {
	if i.Status != image.Queued {
		return "", fault.Conflictf("It's not allowed to add locations if image status is %s.", i.Status)
	}
	service := slices.Contains(c.Auth.Roles, "service") || slices.Contains(c.Auth.ServiceRoles, "service")
	web := l.remote() && a.importer != nil && a.Fetch != nil
	if !web && !service {
		return "", fault.Forbiddenf("http store must be enabled to use location API by normal user.")
	}
	one := image.Task{ID: id.New(), Kind: image.LocationTask, Image: i.ID, Input: map[string]any{"image_id": i.ID, "loc_url": l.URL, "validation_data": l.validation()}}
	if !web {
		return a.failed(c.Context(), one, fault.Invalidf("There is no store of such locations: %s", l.URL))
	}
	if err := l.acceptable(i); err != nil {
		return "", err
	}
	if err := a.begin(c.Context(), one, importParams{Image: i.ID, URI: l.URL, Digest: l.Hash.Value, Locate: true}, work(c, i)); err != nil {
		return "", err
	}
	return one.ID, nil
}

func (l location) validation() map[string]string {
	out := map[string]string{}
	if l.Hash.Value != "" {
		out["os_hash_algo"], out["os_hash_value"] = l.Hash.Algo, l.Hash.Value
	}
	return out
}

// locations tells other services where an image is from. The files of this
// cloud's store have no address that anybody else could use.
func (a api) locations(c *rest.Call) (rest.Reply, error) {
	i, _, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	url, err := a.Records.Location(c.Context(), i.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	if url != "" {
		out = append(out, map[string]any{"url": url, "metadata": map[string]any{}})
	}
	return rest.OK(out)
}

// locationTask is addLocation as a task asks for it.
func (a api) locationTask(c *rest.Call, input map[string]any) (string, error) {
	i, err := a.ofTask(c, "add_image_location", input)
	if err != nil {
		return "", err
	}
	if err := complete(input, "loc_url", "validation_data"); err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{"url": input["loc_url"], "validation_data": input["validation_data"]})
	if err != nil {
		return "", err
	}
	l, err := parseLocation(body)
	if err != nil {
		return "", err
	}
	return a.locate(c, i, l)
}
