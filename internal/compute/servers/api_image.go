package servers

import (
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleImage       = prefix + "servers:create_image"
	ruleImageVolume = prefix + "servers:create_image:allow_volume_backed"
	ruleBackup      = prefix + "os-create-backup"
)

func imageRules() []policy.Rule {
	return memberRules(ruleImage, ruleImageVolume, ruleBackup)
}

// memberRules are rules whose default is a member of the project, or an administrator.
func memberRules(names ...string) []policy.Rule {
	var out []policy.Rule
	for _, n := range names {
		out = append(out, policy.Rule{Name: n, Check: policy.ProjectMemberOrAdmin, Scopes: []string{"project"}, Description: n})
	}
	return out
}

// adminRules are rules whose default is an administrator.
func adminRules(names ...string) []policy.Rule {
	out := memberRules(names...)
	for i := range out {
		out[i].Check = policy.Admin
	}
	return out
}

func (a *api) imageActions() map[string]rest.Action {
	return map[string]rest.Action{
		"createImage":  {Rule: ruleImage, Audit: "create_image", Handle: a.createImage},
		"createBackup": {Rule: ruleBackup, Audit: "create_backup", Handle: a.createBackup},
	}
}

func (a *api) createImage(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name     string            `json:"name" v:"required,name,min=1,max=255"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if one.ImageID == "" && !c.Allow(ruleImageVolume, target(&one.Server)) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleImageVolume)
	}
	return a.imageOf(c, one, ImageRequest{Name: in.Name, Metadata: in.Metadata})
}

func (a *api) createBackup(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name     string            `json:"name" v:"required,name,min=1,max=255"`
		Type     string            `json:"backup_type" v:"required,max=255"`
		Rotation rest.Int          `json:"rotation" v:"required,min=0"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return a.imageOf(c, one, ImageRequest{Name: in.Name, Metadata: in.Metadata, Backup: in.Type, Rotation: int(in.Rotation)})
}

// imageOf begins an image and says where it will be; a backup that is rotated
// away at once has no place.
func (a *api) imageOf(c *rest.Call, one *Server, in ImageRequest) (rest.Reply, error) {
	if err := checkItems(in.Metadata); err != nil {
		return rest.Reply{}, err
	}
	limits, err := a.s.Quota.Limits(c.Context(), a.s.DB, c.Auth.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	if limit := limits["metadata_items"]; limit >= 0 && int64(len(in.Metadata)) > limit {
		return rest.Reply{}, fault.OverQuotaf("Image metadata limit exceeded")
	}
	in.ProjectID, in.UserID, in.UserName, in.Project = c.Auth.ProjectID, c.Auth.UserID, c.Auth.UserName, c.Auth.ProjectName
	imageID, err := a.s.CreateImage(c.Context(), one.ID, in, record(c, one))
	if err != nil {
		return rest.Reply{}, err
	}
	rotated := in.Backup != "" && in.Rotation == 0
	if c.At(compute.ImageIDInBody) {
		if rotated {
			return rest.Accepted(nil)
		}
		return rest.Accepted(map[string]string{"image_id": imageID})
	}
	reply, err := rest.Accepted(nil)
	if rotated {
		return reply, err
	}
	return reply.With("Location", c.Root()+"/image/v2/images/"+imageID), err
}
