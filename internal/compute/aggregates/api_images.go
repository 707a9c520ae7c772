package aggregates

import (
	"strconv"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// fetchesAhead is since when images can be brought to hosts ahead of use.
const fetchesAhead = microversion.Version(2081)

const ruleImages = "compute:aggregates:images"

func imageRules() []policy.Rule {
	return []policy.Rule{{Name: ruleImages, Check: policy.Admin, Scopes: []string{"project"}, Description: "Have images fetched by an aggregate's hosts."}}
}

func (a api) imageRoutes() []rest.Route {
	return []rest.Route{{Method: "POST", Path: "/v2.1/os-aggregates/{id}/images", Since: fetchesAhead, Rule: ruleImages, Audit: "cache_images", Handle: a.images}}
}

func (a api) images(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Cache []struct {
			ID string `json:"id" v:"required,uuid"`
		} `json:"cache" v:"required,min=1"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	n, err := strconv.ParseInt(c.Var("id"), 10, 64)
	if err != nil {
		return rest.Reply{}, fault.Invalidf("Invalid input received: id must be an integer")
	}
	images, seen := make([]string, len(in.Cache)), map[string]bool{}
	for i, one := range in.Cache {
		if images[i] = one.ID; seen[one.ID] {
			return rest.Reply{}, fault.Invalidf("Duplicate images in request")
		}
		seen[one.ID] = true
	}
	if err := a.aggregates.fetchImages(c.Context(), n, images, c.Event("aggregate", "", c.Auth.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
