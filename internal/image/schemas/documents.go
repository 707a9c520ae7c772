package schemas

import (
	"maps"

	"github.com/mekcloud/mek/internal/image"
)

type object = map[string]any

const uuidPattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

// documents are all schemas by name.
func documents() map[string]any {
	images := object{"name": "image", "properties": imageProperties(), "additionalProperties": object{"type": "string"}, "links": []any{
		link("self", "{self}"), link("enclosure", "{file}"), link("describedby", "{schema}")}}
	member := object{"name": "member", "properties": memberProperties()}
	task := object{"name": "task", "properties": taskProperties()}
	brief := taskProperties()
	for _, name := range []string{"input", "result", "message", "self", "image_id", "request_id", "user_id"} {
		delete(brief, name)
	}
	out := map[string]any{
		"image": images, "images": collection("images", images, true),
		"member": member, "members": collection("members", member, false),
		"task": task, "tasks": collection("tasks", object{"name": "task", "properties": brief}, true),
	}
	maps.Copy(out, metadefDocuments())
	return out
}

func link(rel, href string) object { return object{"rel": rel, "href": href} }

// collection is the schema of a list; paged ones have a first and a next page.
func collection(name string, item object, paged bool) object {
	properties := object{name: object{"type": "array", "items": item}, "schema": object{"type": "string"}}
	links := []any{link("describedby", "{schema}")}
	if paged {
		properties["first"], properties["next"] = object{"type": "string"}, object{"type": "string"}
		links = []any{link("first", "{first}"), link("next", "{next}"), link("describedby", "{schema}")}
	}
	return object{"name": name, "properties": properties, "links": links}
}

func text(description string) object { return object{"type": "string", "description": description} }

func shown(o object) object {
	o["readOnly"] = true
	return o
}

func maybe(kind, description string) object {
	return object{"type": []string{"null", kind}, "description": description}
}

func with(o object, name string, value any) object {
	o[name] = value
	return o
}

// orNull is an enumeration that null belongs to.
func orNull(values []string) []any {
	out := []any{nil}
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

func imageProperties() object {
	var statuses []string
	for _, s := range image.Statuses() {
		statuses = append(statuses, string(s))
	}
	return object{
		"id":               with(text("An identifier for the image"), "pattern", uuidPattern),
		"name":             with(maybe("string", "Descriptive name for the image"), "maxLength", 255),
		"status":           shown(with(text("Status of the image"), "enum", statuses)),
		"visibility":       with(text("Scope of image accessibility"), "enum", []string{"community", "public", "private", "shared"}),
		"protected":        object{"type": "boolean", "description": "If true, image will not be deletable."},
		"os_hidden":        object{"type": "boolean", "description": "If true, image will not appear in default image list response."},
		"checksum":         shown(with(maybe("string", "md5 hash of image contents."), "maxLength", 32)),
		"os_hash_algo":     shown(with(maybe("string", "Algorithm to calculate the os_hash_value"), "maxLength", 64)),
		"os_hash_value":    shown(with(maybe("string", "Hexdigest of the image contents using the algorithm specified by the os_hash_algo"), "maxLength", 128)),
		"owner":            with(maybe("string", "Owner of the image"), "maxLength", 255),
		"size":             shown(maybe("integer", "Size of image file in bytes")),
		"virtual_size":     shown(maybe("integer", "Virtual size of image in bytes")),
		"container_format": with(maybe("string", "Format of the container"), "enum", orNull(image.ContainerFormats())),
		"disk_format":      with(maybe("string", "Format of the disk"), "enum", orNull(image.DiskFormats())),
		"created_at":       shown(text("Date and time of image registration")),
		"updated_at":       shown(text("Date and time of the last image modification")),
		"tags": object{"type": "array", "description": "List of strings related to the image",
			"items": object{"type": "string", "maxLength": 255}},
		"direct_url": shown(text("URL to access the image file kept in external store")),
		"min_ram":    object{"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
		"min_disk":   object{"type": "integer", "description": "Amount of disk space (in GB) required to boot image."},
		"self":       shown(text("An image self url")),
		"file":       shown(text("An image file url")),
		"schema":     shown(text("An image schema url")),
		"stores":     shown(text("Store in which image data resides.")),
		"locations": object{"type": "array", "description": "A set of URLs to access the image file kept in external store",
			"items": object{"type": "object", "required": []string{"url", "metadata"},
				"properties": object{"url": object{"type": "string", "maxLength": 255}, "metadata": object{"type": "object"}}}},
	}
}

func memberProperties() object {
	return object{
		"member_id":  text("An identifier for the image member (tenantId)"),
		"image_id":   with(text("An identifier for the image"), "pattern", uuidPattern),
		"created_at": text("Date and time of image member creation"),
		"updated_at": text("Date and time of last modification of image member"),
		"status":     with(text("The status of this image member"), "enum", []string{"pending", "accepted", "rejected"}),
		"schema":     object{"type": "string", "readOnly": true},
	}
}

func taskProperties() object {
	return object{
		"id":         with(text("An identifier for the task"), "pattern", uuidPattern),
		"type":       with(text("The type of task represented by this content"), "enum", []string{"import", "api_image_import", "location_import"}),
		"status":     with(text("The current status of this task"), "enum", []string{"pending", "processing", "success", "failure"}),
		"input":      maybe("object", "The parameters required by task, JSON blob"),
		"result":     maybe("object", "The result of current task, JSON blob"),
		"owner":      text("An identifier for the owner of this task"),
		"message":    text("Human-readable informative message only included when appropriate (usually on failure)"),
		"image_id":   text("Image associated with the task"),
		"request_id": text("Human-readable informative request-id"),
		"user_id":    text("User associated with the task"),
		"expires_at": maybe("string", "Datetime when this resource would be subject to removal"),
		"created_at": text("Datetime when this resource was created"),
		"updated_at": text("Datetime when this resource was updated"),
		"self":       shown(text("A task self url")),
		"schema":     shown(text("A task schema url")),
	}
}
