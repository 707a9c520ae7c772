package servers

import (
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const ruleRebuild = prefix + "servers:rebuild"

func rebuildRules() []policy.Rule {
	return memberRules(ruleRebuild, ruleRebuild+":trusted_certs")
}

func (a *api) rebuildActions() map[string]rest.Action {
	return map[string]rest.Action{"rebuild": {Rule: ruleRebuild, Audit: "rebuild", Handle: a.rebuild}}
}

type rebuildBody struct {
	ImageRef    string             `json:"imageRef" v:"required"`
	Name        *string            `json:"name" v:"name,min=1,max=255"`
	AdminPass   string             `json:"adminPass"`
	Metadata    map[string]string  `json:"metadata"`
	Keep        *rest.Bool         `json:"preserve_ephemeral"`
	AccessIPv4  rest.Opt[string]   `json:"accessIPv4"`
	AccessIPv6  rest.Opt[string]   `json:"accessIPv6"`
	Files       []personality      `json:"personality" until:"2.57"`
	DiskConfig  *string            `json:"OS-DCF:diskConfig" v:"enum=AUTO|MANUAL"`
	Description rest.Opt[string]   `json:"description" since:"2.19" v:"max=255"`
	KeyName     rest.Opt[string]   `json:"key_name" since:"2.54" v:"min=1,max=255"`
	UserData    rest.Opt[string]   `json:"user_data" since:"2.57" v:"max=65535"`
	Trusted     rest.Opt[[]string] `json:"trusted_image_certificates" since:"2.63"`
	Hostname    *string            `json:"hostname" since:"2.90" v:"min=2,max=255"`
}

func (a *api) rebuild(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in rebuildBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	want, err := in.request(c, one)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Rebuild(c.Context(), one.ID, want, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	v, err := views{a.s, true}.Get(c.Context(), one.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	body := a.rebuilding(c, v)
	body["adminPass"] = in.AdminPass
	if in.AdminPass == "" {
		body["adminPass"] = id.Secret(9)
	}
	reply, err := rest.Accepted(map[string]any{"server": body})
	return reply.With("Location", c.Link("/v2.1/servers/"+one.ID)), err
}

// rebuilding is the server as the answer shows it: without what its details
// add, before 2.75.
func (a *api) rebuilding(c *rest.Call, v *view) map[string]any {
	body := a.whole(c, v)["server"].(map[string]any)
	if !c.At(compute.StrictEverywhere) {
		for _, f := range extendedFields() {
			delete(body, f.Name)
		}
		delete(body, "host_status")
		body["addresses"] = addresses(v.cards)
	}
	if c.At(compute.RebuildKey) {
		body["key_name"] = orNull(v.KeyName)
	}
	if c.At(compute.NoPersonality) {
		body["user_data"] = orNull(a.s.userData(v.Server))
		delete(body, "OS-EXT-SRV-ATTR:user_data") // once is enough
	}
	return body
}

// request turns the body into what the service takes.
func (in *rebuildBody) request(c *rest.Call, one *Server) (Rebuild, error) {
	if err := checkHostname(c, in.Hostname); err != nil {
		return Rebuild{}, err
	}
	out := Rebuild{ImageID: imageID(in.ImageRef), UserID: c.Auth.UserID, Metadata: in.Metadata, KeepEphemeral: in.Keep != nil && bool(*in.Keep),
		Reimage: c.At(compute.RebuildVolumeBacked), Admin: c.Allow(ruleExtended, c.Caller()),
		Update: Update{Name: in.Name, DiskConfig: in.DiskConfig, Hostname: in.Hostname, Describe: in.Description.Set}}
	if !id.Valid(out.ImageID) {
		return out, fault.Invalidf("Invalid imageRef provided.")
	}
	if err := checkItems(in.Metadata); err != nil {
		return out, err
	}
	var err error
	if out.AccessIPv4, err = accessAddress(in.AccessIPv4, 4); err != nil {
		return out, err
	}
	if out.AccessIPv6, err = accessAddress(in.AccessIPv6, 6); err != nil {
		return out, err
	}
	if out.Describe && !in.Description.Null {
		out.Description = &in.Description.V
	}
	if in.Files != nil {
		var r Request
		if err := (&createBody{Server: createServer{Files: in.Files}}).files(c, &r); err != nil {
			return out, err
		}
		out.Files = &r.Files
	}
	for from, to := range map[*rest.Opt[string]]**string{&in.KeyName: &out.KeyName, &in.UserData: &out.UserData} {
		if from.Set {
			text := from.Or("")
			*to = &text
		}
	}
	return out, in.trusted(c, one, &out)
}

func (in *rebuildBody) trusted(c *rest.Call, one *Server, out *Rebuild) error {
	if !in.Trusted.Set {
		return nil
	}
	if !c.Allow(ruleRebuild+":trusted_certs", target(&one.Server)) {
		return fault.Forbiddenf("Policy doesn't allow %s:trusted_certs to be performed.", ruleRebuild)
	}
	if !in.Trusted.Null && (len(in.Trusted.V) == 0 || len(in.Trusted.V) > 50) {
		return fault.Invalidf("Invalid input for field/attribute trusted_image_certificates: it names 1 to 50 certificates")
	}
	var list []string
	if !in.Trusted.Null {
		list = in.Trusted.V
	}
	out.TrustedCerts = &list
	return nil
}
