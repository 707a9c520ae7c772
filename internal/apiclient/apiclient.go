package apiclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/mekcloud/mek/internal/pki"
)

// Options say who calls which cloud.
type Options struct {
	AuthURL  string // ends in /identity/v3
	CAFile   string // root certificate; empty: the system's
	User     string
	Password string
	Project  string
	Domain   string // name, of user and project
	Region   string
	// Transport replaces the network, for tests; nil: the network.
	Transport http.RoundTripper
}

// Client is a session of one user in one project. Safe for concurrent use.
type Client struct {
	provider *gophercloud.ProviderClient
	region   string
	root     string // of the cloud's front door
}

// New logs in.
func New(ctx context.Context, o Options) (*Client, error) {
	provider, err := openstack.NewClient(o.AuthURL)
	if err != nil {
		return nil, fmt.Errorf("address of the cloud: %w", err)
	}
	transport := o.Transport
	if transport == nil {
		conf := &tls.Config{MinVersion: tls.VersionTLS13}
		if o.CAFile != "" {
			if conf.RootCAs, err = pki.Pool(o.CAFile); err != nil {
				return nil, err
			}
		}
		transport = &http.Transport{TLSClientConfig: conf, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute}
	}
	provider.HTTPClient = http.Client{Transport: transport}
	provider.UserAgent.Prepend("mek")
	err = openstack.Authenticate(ctx, provider, gophercloud.AuthOptions{IdentityEndpoint: o.AuthURL, Username: o.User, Password: o.Password,
		TenantName: o.Project, DomainName: o.Domain, AllowReauth: true})
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", o.User, err)
	}
	return &Client{provider: provider, region: o.Region, root: strings.TrimSuffix(strings.TrimSuffix(o.AuthURL, "/"), "/identity/v3")}, nil
}

// Own reads what the cloud itself has to say at a path, beside the OpenStack APIs.
func (c *Client) Own(ctx context.Context, path string, out any) error {
	return closing(c.provider.Request(ctx, http.MethodGet, c.root+path, &gophercloud.RequestOpts{JSONResponse: out, OkCodes: anyOK}))
}

// OwnPost asks the cloud itself for something at a path, beside the OpenStack APIs.
func (c *Client) OwnPost(ctx context.Context, path string, body, out any) error {
	return closing(c.provider.Request(ctx, http.MethodPost, c.root+path, &gophercloud.RequestOpts{JSONBody: body, JSONResponse: out, OkCodes: anyOK}))
}

// The services that commands use.
const (
	Compute  = "compute"
	Network  = "network"
	Image    = "image"
	Volume   = "volumev3"
	Identity = "identity"
	S3       = "s3"
)

// roots are the parts that clients add to the catalog's address.
var roots = map[string]string{Network: "v2.0/", Image: "v2/", Identity: "v3/"}

// Service is one service of the catalog. Safe for concurrent use.
type Service struct{ client *gophercloud.ServiceClient }

// Service finds a service in the catalog; version is a microversion or empty.
func (c *Client) Service(kind, version string) (*Service, error) {
	opts := gophercloud.EndpointOpts{Region: c.region, Availability: gophercloud.AvailabilityPublic}
	opts.ApplyDefaults(kind)
	endpoint, err := c.provider.EndpointLocator(opts)
	if err != nil {
		return nil, fmt.Errorf("find service %s: %w", kind, err)
	}
	endpoint = strings.TrimSuffix(endpoint, "/") + "/"
	return &Service{&gophercloud.ServiceClient{ProviderClient: c.provider, Endpoint: endpoint, Type: kind,
		ResourceBase: endpoint + roots[kind], Microversion: version}}, nil
}

// Address is the service's own of the catalog, without a slash at the end.
func (s *Service) Address() string { return strings.TrimSuffix(s.client.Endpoint, "/") }

// Who gives the ids of the user and the project that are logged in.
func (c *Client) Who() (user, project string, err error) {
	result, ok := c.provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return "", "", errors.New("nobody has logged in")
	}
	u, err := result.ExtractUser()
	if err != nil {
		return "", "", fmt.Errorf("user of the token: %w", err)
	}
	p, err := result.ExtractProject()
	if err != nil || p == nil {
		return "", "", fmt.Errorf("project of the token: %w", err)
	}
	return u.ID, p.ID, nil
}

// Object is a resource as the API shows it.
type Object map[string]any

// Text is a string member, or nothing.
func (o Object) Text(key string) string {
	s, _ := o[key].(string)
	return s
}

// Inner is a member that is an object, or nothing.
func (o Object) Inner(key string) Object {
	m, _ := o[key].(map[string]any)
	return m
}

// anyOK are the statuses of success; what it is exactly is not our business.
var anyOK = []int{200, 201, 202, 203, 204}

// Get reads path into out.
func (s *Service) Get(ctx context.Context, path string, out any) error {
	return closing(s.client.Get(ctx, s.client.ServiceURL(path), out, &gophercloud.RequestOpts{OkCodes: anyOK}))
}

// Post sends body to path and reads the answer into out, which may be nil.
func (s *Service) Post(ctx context.Context, path string, body, out any) error {
	return s.send(ctx, http.MethodPost, path, body, out)
}

// Put sends body to path and reads the answer into out, which may be nil.
func (s *Service) Put(ctx context.Context, path string, body, out any) error {
	return s.send(ctx, http.MethodPut, path, body, out)
}

// Delete removes what is at path. What is gone already is no error.
func (s *Service) Delete(ctx context.Context, path string) error {
	err := s.send(ctx, http.MethodDelete, path, nil, nil)
	if IsNotFound(err) {
		return nil
	}
	return err
}

// Upload sends bytes to path.
func (s *Service) Upload(ctx context.Context, path string, content io.Reader) error {
	return closing(s.client.Request(ctx, http.MethodPut, s.client.ServiceURL(path), &gophercloud.RequestOpts{RawBody: content, OkCodes: anyOK,
		MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"}, KeepResponseBody: false}))
}

func (s *Service) send(ctx context.Context, method, path string, body, out any) error {
	opts := &gophercloud.RequestOpts{OkCodes: anyOK, JSONBody: body, JSONResponse: out}
	return closing(s.client.Request(ctx, method, s.client.ServiceURL(path), opts))
}

func closing(resp *http.Response, err error) error {
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close() // the answer was read, or is of no interest
	}
	return err
}

// List reads the members of key at path; the filter is sent as it is. Only the
// first page is read: the commands look for names.
func (s *Service) List(ctx context.Context, path, key string, filter url.Values) ([]Object, error) {
	if len(filter) > 0 {
		path += "?" + filter.Encode()
	}
	var out map[string]any
	if err := s.Get(ctx, path, &out); err != nil {
		return nil, err
	}
	items, _ := out[key].([]any)
	list := make([]Object, 0, len(items))
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			list = append(list, o)
		}
	}
	return list, nil
}

// Find is the one object of that name; false when there is none, an error when
// there are several.
func (s *Service) Find(ctx context.Context, path, key, name string, filter url.Values) (Object, bool, error) {
	query := url.Values{"name": {name}}
	for k, v := range filter {
		query[k] = v
	}
	list, err := s.List(ctx, path, key, query)
	if err != nil {
		return nil, false, err
	}
	var found []Object
	for _, o := range list {
		if o.Text("name") == name { // Nova's filter is a pattern
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return nil, false, nil
	case 1:
		return found[0], true, nil
	}
	return nil, false, fmt.Errorf("%d objects are named %q: use an id", len(found), name)
}

// IsNotFound tells whether the API answered 404.
func IsNotFound(err error) bool { return gophercloud.ResponseCodeIs(err, http.StatusNotFound) }

// IsConflict tells whether the API answered 409.
func IsConflict(err error) bool { return gophercloud.ResponseCodeIs(err, http.StatusConflict) }

// IsUnauthorized tells whether the credentials were refused.
func IsUnauthorized(err error) bool { return gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) }

// IsNotServed tells whether the cloud does not offer this: no such service in
// the catalog, no such route, or not built yet.
func IsNotServed(err error) bool {
	var none *gophercloud.ErrEndpointNotFound
	return errors.As(err, &none) || gophercloud.ResponseCodeIs(err, http.StatusNotImplemented) || IsNotFound(err)
}

// Reason is what the API said, without the address and the envelope.
func Reason(err error) string {
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &code) {
		return err.Error()
	}
	body := string(code.Body)
	if at := strings.Index(body, `"message":`); at >= 0 {
		rest := strings.TrimLeft(body[at+len(`"message":`):], " ")
		if strings.HasPrefix(rest, `"`) {
			if end := strings.Index(rest[1:], `"`); end > 0 {
				return fmt.Sprintf("%s (%d)", rest[1:end+1], code.Actual)
			}
		}
	}
	return fmt.Sprintf("%s (%d)", strings.TrimSpace(body), code.Actual)
}
