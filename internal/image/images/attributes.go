package images

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

const (
	maxText       = 255 // characters of names, tags and names of properties
	maxTags       = 128
	maxProperties = 128

	// reservedNamespace is the prefix of properties that the service itself sets.
	reservedNamespace = "os_glance"
)

// setters are the attributes that users may give. The rest of what the API
// shows is read-only or reserved, and any other name is an additional property.
var setters = map[string]func(i *image.Image, raw json.RawMessage) error{
	"name": func(i *image.Image, raw json.RawMessage) (err error) {
		i.Name, i.Named, err = textOrNull("name", raw)
		return err
	},
	"owner": func(i *image.Image, raw json.RawMessage) (err error) {
		i.Owner, _, err = textOrNull("owner", raw)
		return err
	},
	"visibility": func(i *image.Image, raw json.RawMessage) error {
		v, err := choice("visibility", raw, "community", "public", "private", "shared")
		i.Visibility = image.Visibility(v)
		return err
	},
	"disk_format": func(i *image.Image, raw json.RawMessage) error {
		v, err := choiceOrNull("disk_format", raw, image.DiskFormats()...)
		if err == nil && image.Format(v) != i.Disk && !undecided(i) {
			return fault.Forbiddenf("Attribute disk_format can be only replaced for a queued image.")
		}
		i.Disk = image.Format(v)
		return err
	},
	"container_format": func(i *image.Image, raw json.RawMessage) error {
		v, err := choiceOrNull("container_format", raw, image.ContainerFormats()...)
		if err == nil && v != i.Container && !undecided(i) {
			return fault.Forbiddenf("Attribute container_format can be only replaced for a queued image.")
		}
		i.Container = v
		return err
	},
	"min_disk":  func(i *image.Image, raw json.RawMessage) error { return number("min_disk", raw, &i.MinDisk) },
	"min_ram":   func(i *image.Image, raw json.RawMessage) error { return number("min_ram", raw, &i.MinRAM) },
	"protected": func(i *image.Image, raw json.RawMessage) error { return flag("protected", raw, &i.Protected) },
	"os_hidden": func(i *image.Image, raw json.RawMessage) error { return flag("os_hidden", raw, &i.Hidden) },
	"tags":      setTags,
}

// undecided tells whether the formats may still change: no bytes were checked against them.
func undecided(i *image.Image) bool {
	return i.Status == "" || i.Status == image.Queued || i.Status == image.Importing
}

var (
	readOnly = []string{"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema", "id",
		"os_hash_algo", "os_hash_value", "stores"}
	reserved = []string{"location", "locations", "deleted", "deleted_at"}
	uuid     = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// settable refuses names that users may not write.
func settable(name string) error {
	switch {
	case slices.Contains(readOnly, name):
		return fault.Forbiddenf("Attribute '%s' is read-only.", name)
	case slices.Contains(reserved, name) || strings.HasPrefix(name, reservedNamespace):
		return fault.Forbiddenf("Attribute '%s' is reserved.", clip(name))
	case utf8.RuneCountInString(name) > maxText:
		return fault.Invalidf("Custom property should not be greater than 255 characters.")
	}
	return nil
}

// newImage reads the body of a create request. id is used where it names none.
func newImage(body []byte, id, project string) (*image.Image, error) {
	i := &image.Image{ID: id, Owner: project, Visibility: image.Shared, Size: -1, VirtualSize: -1, Tags: []string{}, Properties: map[string]string{}}
	if len(body) == 0 {
		return nil, fault.Invalidf("Body expected in request.")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, fault.Invalidf("Malformed request body: a JSON object is expected.").Because(err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name == "id" {
			if json.Unmarshal(members[name], &i.ID) != nil || !uuid.MatchString(i.ID) {
				return nil, mismatch("id", "it is not a UUID")
			}
			continue
		}
		if err := set(i, name, members[name]); err != nil {
			return nil, err
		}
	}
	i.Status = image.Queued
	return i, withinLimits(i)
}

// set gives an attribute or an additional property a value.
func set(i *image.Image, name string, raw json.RawMessage) error {
	if setter, ok := setters[name]; ok {
		return setter(i, raw)
	}
	if err := settable(name); err != nil {
		return err
	}
	var value string
	if string(raw) == "null" || json.Unmarshal(raw, &value) != nil {
		return mismatch(name, "it is not of type 'string'")
	}
	i.Properties[name] = value
	return nil
}

// apply does one step of a patch.
func (o operation) apply(i *image.Image) error {
	_, base := setters[o.name]
	_, there := i.Properties[o.name]
	if err := settable(o.name); err != nil {
		return err
	}
	switch {
	case o.op == "remove" && base:
		return fault.Forbiddenf("Property %s may not be removed.", o.name)
	case o.op == "add" && o.old && (base || there):
		return fault.Conflictf("Property %s already present.", o.name)
	case (o.op == "remove" || o.op == "replace") && !base && !there:
		return fault.Conflictf("Property %s does not exist.", o.name)
	case o.op == "remove":
		delete(i.Properties, o.name)
		return nil
	}
	return set(i, o.name, o.value)
}

func withinLimits(i *image.Image) error {
	if n := len(i.Properties); n > maxProperties {
		return fault.New(fault.TooLarge, "The limit has been exceeded on the number of allowed image properties. Attempted: %d, Maximum: %d", n, maxProperties)
	}
	if n := len(i.Tags); n > maxTags {
		return fault.New(fault.TooLarge, "The limit has been exceeded on the number of allowed image tags. Attempted: %d, Maximum: %d", n, maxTags)
	}
	return nil
}

func setTags(i *image.Image, raw json.RawMessage) error {
	var tags []string
	if string(raw) == "null" || json.Unmarshal(raw, &tags) != nil {
		return mismatch("tags", "it is not a list of strings")
	}
	for _, t := range tags {
		if utf8.RuneCountInString(t) > maxText {
			return mismatch("tags", "a tag is too long")
		}
	}
	slices.Sort(tags)
	i.Tags = slices.Compact(tags)
	return nil
}

func mismatch(name, why string) error {
	return fault.Invalidf("Provided object does not match schema 'image': %s: %s", clip(name), why)
}

func textOrNull(name string, raw json.RawMessage) (value string, given bool, err error) {
	if string(raw) == "null" {
		return "", false, nil
	}
	if json.Unmarshal(raw, &value) != nil {
		return "", false, mismatch(name, "it is not of type 'null', 'string'")
	}
	if utf8.RuneCountInString(value) > maxText {
		return "", false, mismatch(name, "it is too long")
	}
	return value, true, nil
}

func choice(name string, raw json.RawMessage, among ...string) (string, error) {
	var v string
	if json.Unmarshal(raw, &v) != nil || !slices.Contains(among, v) {
		return "", mismatch(name, "it is not one of "+strings.Join(among, ", "))
	}
	return v, nil
}

func choiceOrNull(name string, raw json.RawMessage, among ...string) (string, error) {
	if string(raw) == "null" {
		return "", nil
	}
	return choice(name, raw, among...)
}

func number(name string, raw json.RawMessage, into *int64) error {
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		return mismatch(name, "it is not of type 'integer'")
	}
	if *into < 0 || *into > math.MaxInt32 {
		return fault.Invalidf("%s must be between 0 and %d", name, math.MaxInt32)
	}
	return nil
}

func flag(name string, raw json.RawMessage, into *bool) error {
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		return mismatch(name, "it is not of type 'boolean'")
	}
	return nil
}

func withTag(tags []string, tag string) []string {
	at, there := slices.BinarySearch(tags, tag)
	if there {
		return tags
	}
	return slices.Insert(slices.Clone(tags), at, tag)
}

func withoutTag(tags []string, tag string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == tag })
}
