package metadefs

import (
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
)

// kind is one kind of definitions in a namespace.
type kind struct {
	name    string // in the table, and in texts
	many    string // path segment and list member
	maxName int
	// members a document may have beside its name, and the JSON type of each
	// ('s' text, 'b' flag, 'n' number, 'a' list, 'o' object, '*' any)
	members map[string]byte
	needs   []string
}

var (
	objects = kind{name: "object", many: "objects", maxName: 80, members: map[string]byte{"description": 's', "required": 'a', "properties": 'o'}}
	tags    = kind{name: "tag", many: "tags", maxName: 80}
	types   = kind{name: "resource_type", many: "resource_types", maxName: 80, members: map[string]byte{"prefix": 's', "properties_target": 's'}}

	properties = kind{name: "property", many: "properties", maxName: 80, needs: []string{"title", "type"}, members: map[string]byte{
		"title": 's', "type": 's', "description": 's', "operators": 'a', "required": 'a', "minimum": 'n', "maximum": 'n', "maxLength": 'n', "minLength": 'n',
		"pattern": 's', "enum": 'a', "readonly": 'b', "default": '*', "items": 'o', "maxItems": 'n', "minItems": 'n', "uniqueItems": 'b', "additionalItems": 'b'}}
)

var (
	readOnly      = []string{"self", "schema", "created_at", "updated_at"}
	propertyTypes = []string{"array", "boolean", "integer", "number", "object", "string"}
)

// document is a definition's body without its name.
type document map[string]json.RawMessage

// parse checks a definition as clients send it: its name and the rest.
func (k kind) parse(body []byte) (string, document, error) {
	doc, err := object(body)
	if err != nil {
		return "", nil, err
	}
	raw, ok := doc["name"]
	if !ok {
		return "", nil, k.wrong("name", "it is a required property")
	}
	delete(doc, "name")
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return "", nil, k.wrong("name", "it is not of type 'string'")
	}
	return name, doc, k.check(name, doc)
}

// check refuses names and members that a definition of the kind cannot have.
func (k kind) check(name string, doc document) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > k.maxName {
		return k.wrong("name", "it is empty or too long")
	}
	for _, need := range k.needs {
		if _, ok := doc[need]; !ok {
			return k.wrong(need, "it is a required property")
		}
	}
	for _, member := range slices.Sorted(maps.Keys(doc)) {
		want, ok := k.members[member]
		if !ok {
			return k.wrong(member, "additional properties are not allowed")
		}
		if got := jsonType(doc[member]); want != '*' && got != want {
			return k.wrong(member, "it is of the wrong type")
		}
	}
	if k.name == objects.name {
		return checkProperties(doc["properties"])
	}
	return k.checkType(doc)
}

func (k kind) checkType(doc document) error {
	raw, ok := doc["type"]
	if !ok {
		return nil
	}
	var t string
	if json.Unmarshal(raw, &t) != nil || !slices.Contains(propertyTypes, t) {
		return k.wrong("type", "it is not a type of properties")
	}
	return nil
}

// checkProperties checks the properties that an object or a namespace is given with.
func checkProperties(raw json.RawMessage) error {
	if raw == nil {
		return nil
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
		delete(doc, "name") // may be repeated inside
		if err := properties.check(name, doc); err != nil {
			return err
		}
	}
	return nil
}

func (k kind) wrong(member, why string) error {
	return fault.Invalidf("Provided object does not match schema '%s': %s: %s", k.name, clip(member), why)
}

// object reads a JSON object and refuses what only the service may write.
func object(body []byte) (document, error) {
	var doc document
	if len(body) == 0 {
		return nil, fault.Invalidf("Body expected in request.")
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc == nil {
		return nil, fault.Invalidf("Malformed request body: a JSON object is expected.").Because(err)
	}
	for _, name := range readOnly {
		if _, ok := doc[name]; ok {
			return nil, fault.Forbiddenf("Attribute '%s' is read-only.", name)
		}
	}
	return doc, nil
}

func jsonType(raw json.RawMessage) byte {
	switch raw[0] {
	case '"':
		return 's'
	case '{':
		return 'o'
	case '[':
		return 'a'
	case 't', 'f':
		return 'b'
	case 'n':
		return 0
	}
	return 'n'
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}
