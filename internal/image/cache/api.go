package cache

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/rest"
)

// Finder loads the image of a request's path for the caller, and authorises the
// route's rule on it.
type Finder interface {
	Find(c *rest.Call) (*image.Image, string, error)
}

// Routes are the operations on the cache. An image that is not there is told first.
func Routes(images Finder) []rest.Route {
	const all, one = "/v2/cache", "/v2/cache/{id}"
	ofImage := func(c *rest.Call) (rest.Reply, error) {
		if _, _, err := images.Find(c); err != nil {
			return rest.Reply{}, err
		}
		return none(c)
	}
	return []rest.Route{ // nothing happens, and nothing is recorded
		{Method: "GET", Path: all, Rule: "cache_list", Handle: none},
		{Method: "DELETE", Path: all, Rule: "cache_delete", Audit: "refuse", Handle: none},
		{Method: "PUT", Path: one, Rule: "cache_image", Object: true, Audit: "refuse", Handle: ofImage},
		{Method: "DELETE", Path: one, Rule: "cache_delete", Object: true, Audit: "refuse", Handle: ofImage},
		{Method: "POST", Path: all + "/clean", Rule: "cache_clean", Audit: "refuse", Handle: none},
		{Method: "POST", Path: all + "/prune", Rule: "cache_prune", Audit: "refuse", Handle: none},
	}
}

func none(*rest.Call) (rest.Reply, error) {
	return rest.Reply{}, fault.NotFoundf("Caching via API is not supported at this site.")
}
