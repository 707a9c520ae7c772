package metadefs

import (
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
)

// Namespace is a collection of definitions.
type Namespace struct {
	ID          string `db:"id"`
	Name        string `db:"name"`
	DisplayName string `db:"display_name"`
	Description string `db:"description"`
	Visibility  string `db:"visibility"` // public or private
	Protected   bool   `db:"protected"`
	Owner       string `db:"owner"`
	CreatedAt   int64  `db:"created_at"` // microseconds
	UpdatedAt   int64  `db:"updated_at"`
}

// draft is a namespace as a client sends it, with what it contains.
type draft struct {
	Namespace
	items []item
}

// item is a definition to be written.
type item struct {
	kind kind
	name string
	doc  document
}

var limits = map[string]int{"namespace": 80, "display_name": 80, "description": 500, "owner": 255}

// parseNamespace checks the body of a namespace. owner is who owns it where
// the body does not say.
func parseNamespace(body []byte, owner string) (draft, error) {
	d := draft{Namespace: Namespace{Visibility: "private", Owner: owner}}
	doc, err := object(body)
	if err != nil {
		return d, err
	}
	texts := map[string]*string{"namespace": &d.Name, "display_name": &d.DisplayName, "description": &d.Description, "owner": &d.Owner, "visibility": &d.Visibility}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		raw := doc[name]
		into, isText := texts[name]
		switch {
		case isText:
			err = d.text(name, raw, into)
		case name == "protected":
			if json.Unmarshal(raw, &d.Protected) != nil || jsonType(raw) != 'b' {
				err = mismatch(name, "it is not of type 'boolean'")
			}
		case name == "properties":
			err = d.propertyItems(raw)
		case name == "objects":
			err = d.list(objects, raw)
		case name == "tags":
			err = d.list(tags, raw)
		case name == "resource_type_associations":
			err = d.list(types, raw)
		default:
			err = mismatch(name, "additional properties are not allowed")
		}
		if err != nil {
			return d, err
		}
	}
	if d.Name == "" {
		return d, mismatch("namespace", "it is a required property")
	}
	return d, nil
}

func (d *draft) text(name string, raw json.RawMessage, into *string) error {
	if jsonType(raw) != 's' || json.Unmarshal(raw, into) != nil {
		return mismatch(name, "it is not of type 'string'")
	}
	if most, ok := limits[name]; ok && utf8.RuneCountInString(*into) > most {
		return mismatch(name, "it is too long")
	}
	if name == "visibility" && *into != "public" && *into != "private" {
		return mismatch(name, "it is not one of public, private")
	}
	return nil
}

func (d *draft) propertyItems(raw json.RawMessage) error {
	if err := checkProperties(raw); err != nil {
		return err
	}
	all, err := object(raw)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		doc, err := object(all[name])
		if err != nil {
			return err
		}
		delete(doc, "name")
		d.items = append(d.items, item{properties, name, doc})
	}
	return nil
}

func (d *draft) list(k kind, raw json.RawMessage) error {
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return mismatch(k.many, "it is not of type 'array'")
	}
	for _, one := range all {
		name, doc, err := k.parse(one)
		if err != nil {
			return err
		}
		d.items = append(d.items, item{k, name, doc})
	}
	return nil
}

func mismatch(name, why string) error {
	return fault.Invalidf("Provided object does not match schema 'namespace': %s: %s", clip(name), why)
}
