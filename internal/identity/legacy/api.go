package legacy

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Users keeps users.
type Users interface {
	Get(ctx context.Context, id string) (*identity.User, error)
	ByName(ctx context.Context, domain, name string) (*identity.User, error)
	List(ctx context.Context, q listing.Query) ([]*identity.User, error)
	Create(ctx context.Context, u identity.User, password *string) (*identity.User, error)
	Delete(ctx context.Context, id string) error
	ChangePassword(ctx context.Context, id, old, password string) error
}

// UserChange is an update of a user; nil members stay.
type UserChange struct {
	Name, TenantID, Password *string
	Enabled                  *bool
	Extra                    map[string]any
}

// Projects keeps projects.
type Projects interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
	ByName(ctx context.Context, domain, name string) (*identity.Project, error)
	List(ctx context.Context, q listing.Query) ([]*identity.Project, error)
	Create(ctx context.Context, p identity.Project) (*identity.Project, error)
	Delete(ctx context.Context, id string) error
}

// ProjectChange is an update of a tenant; nil members stay.
type ProjectChange struct {
	Name, Description *string
	Enabled           *bool
	Extra             map[string]any
}

// Roles keeps roles.
type Roles interface {
	Get(ctx context.Context, id string) (*identity.Role, error)
	ByName(ctx context.Context, name string) (*identity.Role, error)
	List(ctx context.Context, q listing.Query) ([]*identity.Role, error)
	Create(ctx context.Context, r identity.Role) (*identity.Role, error)
	Delete(ctx context.Context, id string) error
}

// Grants gives roles. Has is nil when an assignment stands.
type Grants interface {
	Assign(ctx context.Context, a identity.Assignment) error
	Revoke(ctx context.Context, a identity.Assignment) error
	Has(ctx context.Context, a identity.Assignment) error
	Direct(ctx context.Context, a identity.Assignment) ([]string, error)
}

// Catalog keeps services and endpoints, and shows them to tokens.
type Catalog interface {
	Services(ctx context.Context, q listing.Query) ([]*identity.Service, error)
	ServiceByID(ctx context.Context, id string) (*identity.Service, error)
	CreateService(ctx context.Context, v identity.Service) (*identity.Service, error)
	DeleteService(ctx context.Context, id string) error
	Endpoints(ctx context.Context, q listing.Query) ([]*identity.Endpoint, error)
	CreateEndpoint(ctx context.Context, e identity.Endpoint) (*identity.Endpoint, error)
	DeleteEndpoint(ctx context.Context, id string) error
	View(c *rest.Call, project, user string) ([]map[string]any, error)
}

// Issued is a token and what it is worth.
type Issued struct {
	Secret string
	Token  identity.Token
	Access *identity.Access
}

// Deps are what the older API stands on.
type Deps struct {
	Users         Users
	UpdateUser    func(ctx context.Context, id string, c UserChange) (*identity.User, error)
	UsersOn       func(ctx context.Context, project string) ([]string, error) // ids of users with a role there
	Projects      Projects
	UpdateProject func(ctx context.Context, id string, c ProjectChange) (*identity.Project, error)
	Reach         func(ctx context.Context, user string) (projects []string, err error)
	Roles         Roles
	Grants        Grants
	Catalog       Catalog
	// Login makes a token for a body of version 3.
	Login func(c *rest.Call, payload []byte) (Issued, error)
	// Inspect opens a token; Unauthenticated when it is dead.
	Inspect func(ctx context.Context, secret string) (Issued, error)
	Revoke  func(ctx context.Context, t identity.Token) error
	// Guard runs an attempt to prove who somebody is under the limits of logins.
	Guard func(account, remote string, attempt func() error) error
}

type api struct{ Deps }

// AdminPrefix is the address of the admin endpoint.
const AdminPrefix = "/identity_admin"

// admin is the rule of nearly everything here.
const admin = "admin_required"

// own is a rule that everybody with a token passes.
const own = "identity:get_auth_projects"

// Routes are the operations of version 2.0, but for those on EC2 keys, which
// are with their kin of version 3.
func Routes(d Deps) []rest.Route {
	a := &api{d}
	return slices.Concat(a.tokenRoutes(), a.userRoutes(), a.tenantRoutes(), a.roleRoutes(), a.catalogRoutes())
}

// gone answers for what belonged to PKI tokens.
func gone(*rest.Call) (rest.Reply, error) {
	return rest.Reply{}, fault.New(fault.Gone, "This API is no longer available due to the removal of support for PKI tokens.")
}

func ofDefault(domain string) bool { return domain == identity.DefaultDomainID }

// user loads a user of the default domain; NotFound.
func (a *api) user(ctx context.Context, id string) (*identity.User, error) {
	u, err := a.Users.Get(ctx, id)
	if err == nil && !ofDefault(u.DomainID) {
		err = fault.NotFoundf("Could not find user: %s.", id)
	}
	return u, err
}

// tenant loads a project of the default domain; NotFound.
func (a *api) tenant(ctx context.Context, id string) (*identity.Project, error) {
	p, err := a.Projects.Get(ctx, id)
	if err == nil && (p.IsDomain || !ofDefault(p.DomainID)) {
		err = fault.NotFoundf("Could not find project: %s.", id)
	}
	return p, err
}

// asAdmin tells whether the call is of the admin endpoint's, or an administrator's.
func asAdmin(c *rest.Call) bool {
	return strings.HasPrefix(c.URL.Path, AdminPrefix) || c.Allow(admin, policy.Target{})
}

// answer shows one object: 200 whatever was done to it, as this version does.
func answer[T any](one string, view func(*T) map[string]any) func(*T, error) (rest.Reply, error) {
	return func(item *T, err error) (rest.Reply, error) {
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{one: view(item)})
	}
}

func list[T any](many string, view func(*T) map[string]any) func([]*T, error) (rest.Reply, error) {
	return func(items []*T, err error) (rest.Reply, error) {
		if err != nil {
			return rest.Reply{}, err
		}
		views := make([]map[string]any, len(items))
		for i, item := range items {
			views[i] = view(item)
		}
		return rest.OK(map[string]any{many: views, many + "_links": []any{}})
	}
}

// page adds the limit and marker that were asked for.
func page(c *rest.Call, q listing.Query) (listing.Query, error) {
	r := rest.Resource[identity.User]{}
	asked, _, err := r.Query(c)
	asked.Where = append(asked.Where, q.Where...)
	return asked, err
}

// version is the document of version 2.0.
func version(c *rest.Call) map[string]any {
	return map[string]any{"id": "v2.0", "status": "deprecated", "updated": "2016-08-04T00:00:00Z",
		"links":       []any{map[string]any{"rel": "self", "href": c.Link("/v2.0/")}},
		"media-types": []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.identity-v2.0+json"}}}
}

// Version is the document of version 2.0, for the list of versions.
func Version(c *rest.Call) map[string]any { return version(c) }

func showVersion(c *rest.Call) (rest.Reply, error) {
	return rest.Answer(http.StatusOK, map[string]any{"version": version(c)})
}

var extensions = []map[string]any{
	extension("OS-KSADM", "OpenStack Keystone Admin", "2013-07-11T17:14:00-00:00", "OpenStack extensions to Identity v2.0 API enabling Administrative Operations."),
	extension("OS-KSCRUD", "OpenStack Keystone User CRUD", "2013-07-07T12:00:0-00:00", "OpenStack extensions to Identity v2.0 API enabling User Operations."),
	extension("OS-EC2", "OpenStack EC2 API", "2013-07-07T12:00:0-00:00", "OpenStack EC2 Credentials backend."),
}

func extension(alias, name, updated, text string) map[string]any {
	return map[string]any{"name": name, "namespace": "https://docs.openstack.org/identity/api/ext/" + alias + "/v1.0", "alias": alias, "updated": updated,
		"description": text, "links": []any{map[string]any{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/api-ref/identity/v2-ext/"}}}
}

func listExtensions(*rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"extensions": map[string]any{"values": extensions}})
}

func showExtension(c *rest.Call) (rest.Reply, error) {
	for _, e := range extensions {
		if e["alias"] == c.Var("alias") {
			return rest.OK(map[string]any{"extension": e})
		}
	}
	return rest.Reply{}, fault.NotFoundf("Could not find extension: %s.", c.Var("alias"))
}

// done answers 204.
func done(err error) (rest.Reply, error) { return wire.Done(err) }
