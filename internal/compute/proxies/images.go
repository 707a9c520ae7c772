package proxies

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// picture is an image as the image service shows it.
type picture struct {
	ID      string  `json:"id"`
	Name    *string `json:"name"`
	Status  string  `json:"status"`
	Size    *int64  `json:"size"`
	MinDisk int     `json:"min_disk"`
	MinRAM  int     `json:"min_ram"`
	Created string  `json:"created_at"`
	Updated string  `json:"updated_at"`

	Properties map[string]string `json:"-"` // what users added
}

// ownMembers are the members of an image that are no properties.
var ownMembers = []string{"id", "name", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "os_hidden", "visibility", "protected",
	"owner", "min_disk", "min_ram", "disk_format", "container_format", "created_at", "updated_at", "tags", "self", "file", "schema", "locations", "direct_url",
	"stores"}

func pictureOf(raw json.RawMessage) (*picture, error) {
	p := &picture{Properties: map[string]string{}}
	var all map[string]any
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fault.Internalf("image of the image service: %w", err)
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fault.Internalf("image of the image service: %w", err)
	}
	for name, value := range all {
		if text, ok := value.(string); ok && !slices.Contains(ownMembers, name) {
			p.Properties[name] = text
		}
	}
	return p, nil
}

var (
	imageStatuses = map[string]string{"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "deleted": "DELETED", "pending_delete": "DELETED", "killed": "ERROR"}
	imageProgress = map[string]int{"queued": 25, "saving": 50, "active": 100}
)

// with is the properties with one set, or taken away.
func (p *picture) with(key string, value *string) map[string]string {
	out := maps.Clone(p.Properties)
	delete(out, key)
	if value != nil {
		out[key] = *value
	}
	return out
}

// changes are the steps of a JSON patch that make the properties those wanted.
func (p *picture) changes(want map[string]string) []map[string]string {
	ops := []map[string]string{}
	path := func(key string) string { return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
	for _, key := range slices.Sorted(maps.Keys(p.Properties)) {
		if _, kept := want[key]; !kept {
			ops = append(ops, map[string]string{"op": "remove", "path": path(key)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		op := "replace"
		has, there := p.Properties[key]
		if !there {
			op = "add"
		}
		if !there || has != want[key] {
			ops = append(ops, map[string]string{"op": op, "path": path(key), "value": want[key]})
		}
	}
	return ops
}

// imageQuery turns the parameters of a list into those of the image service.
// Others are ignored, as upstream does.
func imageQuery(from url.Values) (url.Values, error) {
	out := url.Values{}
	names := map[string]string{"name": "name", "type": "image_type", "minRam": "min_ram", "minDisk": "min_disk", "marker": "marker", "limit": "limit"}
	for key, values := range from {
		value := values[len(values)-1]
		switch {
		case key == "status":
			out.Set("status", strings.ToLower(value))
			for wire, word := range imageStatuses {
				if word == strings.ToUpper(value) && wire != "queued" {
					out.Set("status", wire)
				}
			}
		case key == "server":
			out.Set("instance_uuid", value[strings.LastIndex(value, "/")+1:])
		case key == "changes-since":
			out.Set("updated_at", "gte:"+value)
		case strings.HasPrefix(key, "property-"):
			out.Set(strings.TrimPrefix(key, "property-"), value)
		case names[key] != "":
			out.Set(names[key], value)
		}
	}
	if limit := out.Get("limit"); limit != "" {
		if n, err := strconv.Atoi(limit); err != nil || n < 0 {
			return nil, fault.Invalidf("Invalid input for query parameters limit. Value: %s.", limit)
		}
	}
	if marker := out.Get("marker"); marker != "" && !id.Valid(marker) {
		return nil, fault.Invalidf("marker [%s] not found", marker)
	}
	return out, nil
}

func count(list []any) string { return strconv.Itoa(len(list)) }
