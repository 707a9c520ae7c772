package transfers

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/egress"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

// taskMembers are those that the schema of tasks has. Type and input count, the
// others are read-only: they are let pass, and say nothing.
var taskMembers = []string{"type", "input", "id", "status", "result", "owner", "message", "image_id", "request_id", "user_id", "expires_at", "created_at",
	"updated_at", "self", "schema"}

// parseTask reads the body of a request for a task.
func parseTask(body []byte) (kind string, input map[string]any, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return "", nil, fault.Invalidf("Malformed request body: a JSON object is expected.").Because(err)
	}
	for _, name := range []string{"type", "input"} {
		if _, ok := members[name]; !ok {
			return "", nil, fault.Invalidf("Task '%s' is required", name)
		}
	}
	for name := range members {
		if !slices.Contains(taskMembers, name) {
			return "", nil, fault.Invalidf("Provided object does not match schema 'task': Additional properties are not allowed")
		}
	}
	if json.Unmarshal(members["type"], &kind) != nil || !slices.Contains([]string{image.ImportTask, image.BytesTask, image.LocationTask}, kind) {
		return "", nil, fault.Invalidf("Provided object does not match schema 'task': type is not one of 'import', 'api_image_import', 'location_import'")
	}
	if json.Unmarshal(members["input"], &input) != nil {
		return "", nil, fault.Invalidf("Provided object does not match schema 'task': input is not of type 'null', 'object'")
	}
	if input == nil {
		input = map[string]any{}
	}
	return kind, input, nil
}

// importFrom is the address that a task of type "import" names. It is refused
// at once, in upstream's words, if nothing may be fetched from there.
func importFrom(input map[string]any, offered bool) (string, error) {
	uri, _ := input["import_from"].(string) // anything else is no address
	switch {
	case uri == "":
		return "", fault.Invalidf("Invalid location: None")
	case strings.HasPrefix(uri, "file:///") || strings.HasPrefix(uri, "filesystem:///"):
		return "", fault.Invalidf("File based imports are not allowed. Please use a non-local source of image data.")
	case !strings.HasPrefix(uri, "http://") && !strings.HasPrefix(uri, "https://"):
		return "", fault.Invalidf("The given uri is not valid. Please specify a valid uri from the following list of supported uri ['http']")
	case !offered || egress.Check(uri) != nil:
		return "", fault.Invalidf("URI for legacy import task does not pass filtering: %s", uri)
	}
	return uri, nil
}

// complete tells what a task's input lacks; upstream finds it at work, not at once.
func complete(input map[string]any, names ...string) error {
	for _, name := range names {
		if _, ok := input[name]; !ok {
			return fault.Invalidf("Input does not contain '%s' field", name)
		}
	}
	return nil
}
