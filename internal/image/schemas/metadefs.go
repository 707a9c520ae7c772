package schemas

// metadefDocuments are the schemas of the catalog of metadata definitions.
func metadefDocuments() map[string]any {
	dates := object{"created_at": shown(with(text("Date and time of creation"), "format", "date-time")),
		"updated_at": shown(with(text("Date and time of the last modification"), "format", "date-time")),
		"self":       object{"type": "string", "readOnly": true}, "schema": object{"type": "string", "readOnly": true}}
	namespace := strict("namespace", []string{"namespace"}, dates, object{
		"namespace":                  with(text("The unique namespace text."), "maxLength", 80),
		"display_name":               with(text("The user friendly name for the namespace. Used by UI if available."), "maxLength", 80),
		"description":                with(text("Provides a user friendly description of the namespace."), "maxLength", 500),
		"visibility":                 with(text("Scope of namespace accessibility."), "enum", []string{"public", "private"}),
		"protected":                  object{"type": "boolean", "description": "If true, namespace will not be deletable."},
		"owner":                      with(text("Owner of the namespace."), "maxLength", 255),
		"resource_type_associations": list(object{"type": "object", "properties": object{"name": kindOf("string"), "prefix": kindOf("string"), "properties_target": kindOf("string")}}),
		"properties":                 object{"$ref": "#/definitions/property"},
		"objects": list(object{"type": "object", "properties": object{"name": kindOf("string"), "description": kindOf("string"),
			"required": object{"$ref": "#/definitions/stringArray"}, "properties": object{"$ref": "#/definitions/property"}}}),
		"tags": list(object{"type": "object", "properties": object{"name": kindOf("string")}}),
	})
	thing := strict("object", []string{"name"}, dates, object{"name": with(kindOf("string"), "maxLength", 255), "description": kindOf("string"),
		"required": object{"$ref": "#/definitions/stringArray"}, "properties": object{"$ref": "#/definitions/property"}})
	property := strict("property", []string{"type", "title", "name"}, object{}, propertyMembers())
	association := strict("resource_type_association", []string{"name"}, dates, object{
		"name":   with(text("Resource type names should be aligned with Heat resource types whenever possible"), "maxLength", 80),
		"prefix": with(text("Specifies the prefix to use for the given resource type."), "maxLength", 80),
		"properties_target": with(text("Some resource types allow more than one key / value pair per instance. This says which the namespace is for."),
			"maxLength", 80)})
	tag := strict("tag", []string{"name"}, dates, object{"name": with(kindOf("string"), "maxLength", 80)})
	delete(tag, "definitions")
	properties := collection("properties", property, true)
	properties["properties"].(object)["properties"] = object{"type": "object", "additionalProperties": property}
	return map[string]any{
		"metadefs/namespace": namespace, "metadefs/namespaces": collection("namespaces", namespace, true),
		"metadefs/object": thing, "metadefs/objects": collection("objects", thing, true),
		"metadefs/property": property, "metadefs/properties": properties,
		"metadefs/resource_type": association, "metadefs/resource_types": collection("resource_type_associations", association, true),
		"metadefs/tag": tag, "metadefs/tags": collection("tags", tag, true),
	}
}

func kindOf(name string) object { return object{"type": name} }

func list(item object) object { return object{"type": "array", "items": item} }

// strict is a schema that takes no further members.
func strict(name string, required []string, members ...object) object {
	all := object{}
	for _, some := range members {
		for key, value := range some {
			all[key] = value
		}
	}
	return object{"name": name, "properties": all, "additionalProperties": false, "required": required, "definitions": definitions()}
}

func definitions() object {
	return object{
		"positiveInteger":         object{"type": "integer", "minimum": 0},
		"positiveIntegerDefault0": object{"allOf": []object{{"$ref": "#/definitions/positiveInteger"}, {"default": 0}}},
		"stringArray":             object{"type": "array", "items": kindOf("string"), "uniqueItems": true},
		"property": object{"type": "object", "additionalProperties": object{"type": "object", "required": []string{"title", "type"},
			"properties": propertyMembers()}},
	}
}

func propertyMembers() object {
	kinds := object{"type": "string", "enum": []any{"array", "boolean", "integer", "number", "object", "string", nil}}
	return object{
		"name": with(kindOf("string"), "maxLength", 80), "title": kindOf("string"), "description": kindOf("string"), "operators": list(kindOf("string")),
		"type": kinds, "required": object{"$ref": "#/definitions/stringArray"}, "minimum": kindOf("number"), "maximum": kindOf("number"),
		"maxLength": object{"$ref": "#/definitions/positiveInteger"}, "minLength": object{"$ref": "#/definitions/positiveIntegerDefault0"},
		"pattern": object{"type": "string", "format": "regex"}, "enum": kindOf("array"), "readonly": kindOf("boolean"), "default": object{},
		"items":    object{"type": "object", "properties": object{"type": kinds, "enum": kindOf("array")}},
		"maxItems": object{"$ref": "#/definitions/positiveInteger"}, "minItems": object{"$ref": "#/definitions/positiveIntegerDefault0"},
		"uniqueItems": object{"type": "boolean", "default": false}, "additionalItems": kindOf("boolean"),
	}
}
