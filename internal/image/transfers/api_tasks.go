package transfers

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// createTask does what a task asks for. As upstream only the address of an
// import is looked at first; what else is wrong makes the task fail.
func (a api) createTask(c *rest.Call) (rest.Reply, error) {
	kind, input, err := parseTask(c.Payload())
	if err != nil {
		return rest.Reply{}, err
	}
	record := c.Event("task", "", c.Auth.ProjectID)
	var minted string
	switch kind {
	case image.ImportTask:
		minted, err = a.importTask(c, input)
	case image.BytesTask:
		minted, err = a.bytesTask(c, input)
	default:
		minted, err = a.locationTask(c, input)
	}
	switch {
	case minted == "" && kind != image.ImportTask && refused(err):
		about, _ := input["image_id"].(string) // the record has the input as it is
		if minted, err = a.failed(c.Context(), image.Task{Kind: kind, Image: about, Input: input}, err); err != nil {
			return rest.Reply{}, err
		}
	case minted == "":
		return rest.Reply{}, err
	}
	record.Object = minted
	if err := a.DB.Write(c.Context(), func(tx *db.Tx) error { return outbox.Write(c.Context(), tx, record) }); err != nil {
		return rest.Reply{}, err
	}
	body, err := a.Tasks.Body(c.Context(), minted)
	if err != nil {
		return rest.Reply{}, err
	}
	reply, err := rest.Answer(http.StatusCreated, body)
	return reply.With("Location", c.Link("/v2/tasks/"+minted)), err
}

// refused tells whether an error is an answer, and not a failure of ours.
func refused(err error) bool {
	return err != nil && !fault.Is(err, fault.Internal) && !fault.Is(err, fault.Unavailable)
}

// failed records a task that did not get far.
func (a api) failed(ctx context.Context, one image.Task, why error) (string, error) {
	one.ID = id.New()
	return one.ID, a.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.Tasks.BeginIn(ctx, tx, one); err != nil {
			return err
		}
		return a.Tasks.EndIn(ctx, tx, one.ID, one.Image, fault.As(why).Text)
	})
}

// importTask makes an image of what is at an address.
func (a api) importTask(c *rest.Call, input map[string]any) (string, error) {
	uri, err := importFrom(input, a.maker != nil && a.Fetch != nil)
	if err != nil {
		return "", err
	}
	p := makeParams{Task: id.New(), Image: id.New(), URI: uri}
	if err := complete(input, "import_from", "import_from_format", "image_properties"); err != nil {
		p.Lacks = fault.As(err).Text
	} else {
		if p.Properties, err = json.Marshal(input["image_properties"]); err != nil {
			return "", err
		}
		if err := a.mayMake(c, p.Properties); err != nil {
			return "", err
		}
	}
	work := task.Work{Object: p.Task, ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, RequestID: c.RequestID, Fresh: true}
	return p.Task, a.DB.Write(c.Context(), func(tx *db.Tx) error {
		if err := a.Tasks.BeginIn(c.Context(), tx, image.Task{ID: p.Task, Kind: image.ImportTask, Input: input, Waiting: true}); err != nil {
			return err
		}
		_, err := a.maker.Enqueue(c.Context(), tx, work, p)
		return err
	})
}

// mayMake asks the rules that the image itself would be asked. Properties that
// make no image are told later.
func (a api) mayMake(c *rest.Call, properties []byte) error {
	i, err := a.Records.Parse(properties, "", c.Auth.ProjectID)
	if err != nil {
		return nil
	}
	t := policy.Target{"project_id": i.Owner, "owner": i.Owner, "visibility": string(i.Visibility)}
	if !c.Allow("add_image", t) {
		return fault.Forbiddenf("You are not permitted to create images owned by '%s'", i.Owner)
	}
	if rule := map[image.Visibility]string{image.Public: "publicize_image", image.Community: "communitize_image"}[i.Visibility]; rule != "" && !c.Allow(rule, t) {
		return fault.Forbiddenf("You are not authorized to complete %s action.", rule)
	}
	return nil
}

// bytesTask is an import as the import API begins it.
func (a api) bytesTask(c *rest.Call, input map[string]any) (string, error) {
	i, err := a.ofTask(c, "modify_image", input)
	if err != nil {
		return "", err
	}
	if err := complete(input, "import_req"); err != nil {
		return "", err
	}
	body, err := json.Marshal(input["import_req"])
	if err != nil {
		return "", err
	}
	in, err := parseImport(body, a.methods())
	if err != nil {
		return "", err
	}
	return a.start(c, i, in)
}

// ofTask is the image that a task is about, if its user may do that to it.
func (a api) ofTask(c *rest.Call, rule string, input map[string]any) (*image.Image, error) {
	if len(input) == 0 {
		return nil, fault.Invalidf("Input to the task is empty.")
	}
	about, ok := input["image_id"].(string)
	if !ok {
		return nil, fault.Invalidf("Missing required 'image_id' field")
	}
	i, err := a.Lookup(c.Context(), a.viewer(c), about)
	if err != nil {
		return nil, err
	}
	if !c.Allow(rule, policy.Target{"project_id": i.Owner, "owner": i.Owner, "visibility": string(i.Visibility)}) {
		return nil, fault.Forbiddenf("You are not authorized to complete %s action.", rule)
	}
	return i, nil
}

func (a api) viewer(c *rest.Call) image.Viewer {
	return image.Viewer{ProjectID: c.Auth.ProjectID, Admin: c.Allow("context_is_admin", policy.Target{})}
}
