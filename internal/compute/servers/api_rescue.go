package servers

import (
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleRescue   = prefix + "os-rescue"
	ruleUnrescue = prefix + "os-unrescue"
)

func rescueRules() []policy.Rule { return memberRules(ruleRescue, ruleUnrescue) }

func (a *api) rescueActions() map[string]rest.Action {
	return map[string]rest.Action{
		"rescue":   {Rule: ruleRescue, Audit: "rescue", Handle: a.rescue},
		"unrescue": {Rule: ruleUnrescue, Audit: "unrescue", Handle: a.unrescue},
	}
}

func (a *api) rescue(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Password string `json:"adminPass"`
		Image    string `json:"rescue_image_ref"`
	}
	if string(c.Payload()) != "null" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	if in.Image != "" && !id.Valid(in.Image) {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute rescue_image_ref. Value: %s. '%s' is not a 'uuid'", in.Image, in.Image)
	}
	err = a.s.Rescue(c.Context(), one.ID, in.Image, c.At(compute.RescueVolumeBacked), c.Allow(ruleExtended, c.Caller()), override(c, one), record(c, one))
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Password == "" {
		in.Password = id.Secret(9)
	}
	return rest.OK(map[string]string{"adminPass": in.Password})
}

func (a *api) unrescue(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Unrescue(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
