package transfers

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/egress"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task"
)

// The ways to import.
const (
	direct   = "glance-direct"
	download = "web-download"
	copying  = "copy-image"
	remote   = "glance-download"
)

// ImportMethods are the ways to import that a cloud offers: with sagas also
// those that go on without their client, with a fetcher also from addresses.
func ImportMethods(sagas, fetcher bool) []string {
	methods := []string{direct, copying}
	if sagas {
		methods = append(methods, remote)
	}
	if sagas && fetcher {
		methods = append(methods, download)
	}
	return methods
}

// methods are those offered here.
func (t *Transfers) methods() []string { return ImportMethods(t.Sagas != nil, t.Fetch != nil) }

// importRequest is the body of an import request.
type importRequest struct {
	Method struct {
		Name      string `json:"name"`
		URI       string `json:"uri,omitempty"`
		ImageID   string `json:"glance_image_id,omitempty"`
		Region    string `json:"glance_region,omitempty"`
		Interface string `json:"glance_service_interface,omitempty"`
	} `json:"method"`
	Stores    []string `json:"stores,omitempty"`
	AllStores bool     `json:"all_stores,omitempty"`
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// parseImport reads and checks an import request. offered are the methods there are.
func parseImport(body []byte, offered []string) (importRequest, error) {
	var in importRequest
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return in, fault.Invalidf("Malformed request body").Because(err)
	}
	if _, ok := members["method"]; !ok {
		return in, fault.Invalidf("Import request requires a 'method' field.")
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return in, fault.Invalidf("Malformed request body").Because(err)
	}
	m := in.Method
	switch {
	case m.Name == "":
		return in, fault.Invalidf("Import request requires a 'name' field.")
	case !slices.Contains(offered, m.Name):
		return in, fault.Invalidf("Unknown import method name '%s'.", m.Name)
	case in.AllStores && in.Stores != nil:
		return in, fault.Invalidf("All_stores parameter can't be used with 'stores' at the same time")
	case slices.ContainsFunc(in.Stores, func(s string) bool { return s != image.Store }):
		return in, fault.Invalidf("One of the stores in %v is not available on this node.", in.Stores)
	case m.Name == remote && (m.ImageID == "" || m.Region == ""):
		return in, fault.Invalidf("Import method '%s' requires 'glance_region' and 'glance_image_id'", remote)
	case m.Name == remote && !uuid.MatchString(m.ImageID):
		return in, fault.Invalidf("Remote image id does not look like a UUID: %s", m.ImageID)
	case m.Name == download:
		return in, egress.Check(m.URI)
	}
	return in, nil
}

// input is what the task of an import tells.
func (in importRequest) input(id string) map[string]any {
	stores := in.Stores
	if len(stores) == 0 {
		stores = []string{image.Store}
	}
	return map[string]any{"image_id": id, "backend": stores, "import_req": in}
}

// begin records an import that goes on without its client.
func (t *Transfers) begin(ctx context.Context, one image.Task, p importParams, work task.Work) error {
	p.Task = one.ID
	return t.DB.Write(ctx, func(tx *db.Tx) error {
		if err := t.Tasks.BeginIn(ctx, tx, one); err != nil {
			return err
		}
		_, err := t.importer.Enqueue(ctx, tx, work, p)
		return err
	})
}

// task is the one of an import.
func (in importRequest) task(i *image.Image) image.Task {
	return image.Task{ID: id.New(), Kind: image.BytesTask, Image: i.ID, Input: in.input(i.ID)}
}
