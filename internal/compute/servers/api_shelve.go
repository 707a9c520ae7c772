package servers

import (
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const ruleShelve = prefix + "os-shelve:"

func shelveRules() []policy.Rule {
	return append(memberRules(ruleShelve+"shelve", ruleShelve+"unshelve"), adminRules(ruleShelve+"shelve_offload", ruleShelve+"unshelve_to_host")...)
}

func (a *api) shelveActions() map[string]rest.Action {
	return map[string]rest.Action{
		"shelve":        {Rule: ruleShelve + "shelve", Audit: "shelve", Handle: a.shelve},
		"shelveOffload": {Rule: ruleShelve + "shelve_offload", Audit: "shelve_offload", Handle: a.offload},
		"unshelve":      {Rule: ruleShelve + "unshelve", Audit: "unshelve", Handle: a.unshelve},
	}
}

func (a *api) shelve(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	in := ImageRequest{ProjectID: one.ProjectID, UserID: c.Auth.UserID, UserName: c.Auth.UserName, Project: c.Auth.ProjectName}
	if err := a.s.Shelve(c.Context(), one.ID, in, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) offload(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Offload(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) unshelve(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	to, err := destination(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if to.Host != "" && !c.Allow(ruleShelve+"unshelve_to_host", target(&one.Server)) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %sunshelve_to_host to be performed.", ruleShelve)
	}
	if err := a.s.Unshelve(c.Context(), one.ID, to, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// destination reads where a server shall go; before 2.77 nothing is read.
func destination(c *rest.Call) (Destination, error) {
	var to Destination
	if !c.At(compute.UnshelveZone) || string(c.Payload()) == "null" {
		return to, nil
	}
	var in struct {
		Zone rest.Opt[string] `json:"availability_zone"`
		Host *string          `json:"host" since:"2.91" v:"min=1,max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return to, err
	}
	late := c.At(compute.UnshelveHost)
	switch {
	case in.Zone.Set && in.Zone.Null && !late:
		return to, fault.Invalidf("Invalid input for field/attribute availability_zone. Value: None. None is not of type 'string'")
	case in.Zone.Set && !in.Zone.Null && in.Zone.V == "":
		return to, fault.Invalidf("Invalid input for field/attribute availability_zone. Value: . '' is too short")
	case !in.Zone.Set && !late:
		return to, fault.Invalidf("Invalid input for field/attribute unshelve. 'availability_zone' is a required property")
	case !in.Zone.Set && in.Host == nil:
		return to, fault.Invalidf("Invalid input for field/attribute unshelve. Value: {}. {} does not have enough properties")
	}
	if in.Zone.Set {
		zone := in.Zone.Or("")
		to.Zone = &zone
	}
	if in.Host != nil {
		to.Host = *in.Host
	}
	return to, nil
}
