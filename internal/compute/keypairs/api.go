package keypairs

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleIndex  = "os_compute_api:os-keypairs:index"
	ruleShow   = "os_compute_api:os-keypairs:show"
	ruleCreate = "os_compute_api:os-keypairs:create"
	ruleDelete = "os_compute_api:os-keypairs:delete"
	maxPage    = 1000
)

// Rules are the policy rules of key pairs, with upstream's names and defaults.
func Rules() []policy.Rule {
	const own = "(" + policy.Admin + ") or user_id:%(user_id)s"
	scopes := []string{"project"}
	return []policy.Rule{
		{Name: ruleIndex, Check: own, Scopes: scopes, Description: "List a user's key pairs."},
		{Name: ruleShow, Check: own, Scopes: scopes, Description: "Show a key pair."},
		{Name: ruleCreate, Check: own, Scopes: scopes, Description: "Create or import a key pair."},
		{Name: ruleDelete, Check: own, Scopes: scopes, Description: "Delete a key pair."},
	}
}

// Routes are the operations of key pairs. Each authorises the user it is about.
func (s *KeyPairs) Routes() []rest.Route {
	a := api{s}
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/os-keypairs", Rule: ruleIndex, Object: true, Query: rest.Known(compute.StrictEverywhere, "user_id", "limit", "marker"), Handle: a.list},
		{Method: "POST", Path: "/v2.1/os-keypairs", Rule: ruleCreate, Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.1/os-keypairs/{name}", Rule: ruleShow, Object: true, Query: rest.Known(compute.StrictEverywhere, "user_id"), Handle: a.show},
		{Method: "DELETE", Path: "/v2.1/os-keypairs/{name}", Rule: ruleDelete, Object: true, Query: rest.Known(compute.StrictEverywhere, "user_id"), Audit: "delete", Handle: a.remove},
	}
}

type api struct{ pairs *KeyPairs }

// user is whose pairs the request is about, authorised.
func user(c *rest.Call, asked string) (string, error) {
	if asked == "" || !c.At(compute.KeyPairsOfOthers) {
		asked = c.Auth.UserID
	}
	return asked, c.Authorize(policy.Target{"user_id": asked})
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	who, err := user(c, c.Values().Get("user_id"))
	if err != nil {
		return rest.Reply{}, err
	}
	limit, marker := maxPage, ""
	if c.At(compute.KeyPairPaging) {
		marker = c.Values().Get("marker")
		if text := c.Values().Get("limit"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return rest.Reply{}, fault.Invalidf("Invalid input for query parameters limit. Value: %s", text)
			}
			limit = min(max(n, 0), maxPage)
		}
	}
	pairs, err := a.pairs.store.page(c.Context(), who, marker, limit)
	if err != nil {
		return rest.Reply{}, err
	}
	out := make([]any, 0, len(pairs))
	for _, p := range pairs {
		out = append(out, map[string]any{"keypair": brief(c, p)})
	}
	body := map[string]any{"keypairs": out}
	if n := len(pairs); c.At(compute.KeyPairPaging) && n > 0 && n == limit {
		q := c.Request.URL.Query()
		q.Set("marker", pairs[n-1].Name)
		body["keypairs_links"] = []map[string]string{{"rel": "next", "href": c.Link("/v2.1/os-keypairs?" + q.Encode())}}
	}
	return rest.OK(body)
}

func brief(c *rest.Call, p *compute.KeyPair) map[string]any {
	out := map[string]any{"name": p.Name, "public_key": p.PublicKey, "fingerprint": p.Fingerprint}
	if c.At(compute.KeyPairTypes) {
		out["type"] = string(p.Type)
	}
	return out
}

var oldName = regexp.MustCompile(`^[a-zA-Z0-9 _-]*$`)
var newName = regexp.MustCompile(`^[a-zA-Z0-9@._ -]*$`)

type createBody struct {
	KeyPair struct {
		Name      string           `json:"name" v:"required,name,min=1,max=255"`
		Type      string           `json:"type" since:"2.2" v:"enum=ssh|x509"`
		PublicKey rest.Opt[string] `json:"public_key"`
		UserID    string           `json:"user_id" since:"2.10"`
	} `json:"keypair" v:"required"`
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	p, given, err := a.read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	private := ""
	if given {
		err = a.pairs.Import(c.Context(), p, c.Auth.ProjectID, c.Event("keypair", "", c.Auth.ProjectID))
	} else if c.At(compute.NoKeyPairGeneration) {
		err = fault.Invalidf("Invalid input for field/attribute keypair. 'public_key' is a required property")
	} else {
		private, err = a.pairs.Generate(c.Context(), p, c.Auth.ProjectID, c.Event("keypair", "", c.Auth.ProjectID))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	view := brief(c, p)
	view["user_id"] = p.UserID
	if private != "" {
		view["private_key"] = private
	}
	if c.At(compute.KeyPairTypes) {
		return rest.Created(map[string]any{"keypair": view})
	}
	return rest.OK(map[string]any{"keypair": view})
}

// read tells also whether the user gave a public key: an empty one is refused,
// a missing one is made.
func (a api) read(c *rest.Call) (p *compute.KeyPair, given bool, err error) {
	var in createBody
	if err := c.Decode(&in); err != nil {
		return nil, false, err
	}
	who, err := user(c, in.KeyPair.UserID)
	if err != nil {
		return nil, false, err
	}
	pattern := oldName
	if c.At(compute.NoKeyPairGeneration) {
		pattern = newName
	}
	if !pattern.MatchString(in.KeyPair.Name) {
		return nil, false, fault.Invalidf("Keypair data is invalid: Keypair name contains unsafe characters")
	}
	kind := compute.SSHKey
	if in.KeyPair.Type != "" {
		kind = compute.KeyType(in.KeyPair.Type)
	}
	return &compute.KeyPair{UserID: who, Name: in.KeyPair.Name, Type: kind, PublicKey: strings.TrimSpace(in.KeyPair.PublicKey.V)}, in.KeyPair.PublicKey.Set, nil
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	who, err := user(c, c.Values().Get("user_id"))
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := a.pairs.Get(c.Context(), who, c.Var("name"))
	if err != nil {
		return rest.Reply{}, err
	}
	view := brief(c, p)
	view["user_id"], view["id"], view["deleted"] = p.UserID, p.Serial, false
	view["created_at"] = clock.FromMicros(p.CreatedAt).Format("2006-01-02T15:04:05.000000")
	view["deleted_at"], view["updated_at"] = nil, nil
	return rest.OK(map[string]any{"keypair": view})
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	who, err := user(c, c.Values().Get("user_id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.pairs.Delete(c.Context(), who, c.Var("name"), c.Event("keypair", "", c.Auth.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	if c.At(compute.KeyPairTypes) {
		return rest.NoContent()
	}
	return rest.Answer(http.StatusAccepted, nil)
}
