package installation

import (
	"context"
	"errors"
	"sort"
	"strings"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
)

// Environment prints the OS_ variables of a cloud for a shell to evaluate.
func (i *Installation) Environment(cloud string) error {
	if err := i.need(); err != nil {
		return err
	}
	entries, err := i.readEntries()
	if err != nil {
		return err
	}
	e, ok := entries[cloud]
	if !ok {
		return &Failure{Code: ExitUsage, What: "there is no cloud " + cloud, Do: "Use admin or demo."}
	}
	vars := map[string]string{
		"OS_AUTH_URL": e.Auth.AuthURL, "OS_USERNAME": e.Auth.Username, "OS_PASSWORD": e.Auth.Password, "OS_PROJECT_NAME": e.Auth.ProjectName,
		"OS_USER_DOMAIN_NAME": e.Auth.UserDomainName, "OS_PROJECT_DOMAIN_NAME": e.Auth.ProjectDomainName, "OS_REGION_NAME": e.RegionName,
		"OS_IDENTITY_API_VERSION": e.IdentityAPIVersion, "OS_CACERT": e.CACert,
	}
	if !i.Print.JSON {
		i.Print.data("unset OS_CLOUD")
	}
	return i.exports(vars)
}

// exports prints variables for a shell.
func (i *Installation) exports(vars map[string]string) error {
	if i.Print.JSON {
		return i.Print.object(vars)
	}
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if vars[name] != "" {
			i.Print.data("export %s=%s", name, quote(vars[name]))
		}
	}
	return nil
}

// ObjectEnvironment prints the variables that S3's clients read. The key is one
// that the user has for the project, or a new one.
func (i *Installation) ObjectEnvironment(ctx context.Context, cloud string) error {
	if err := i.need(); err != nil {
		return err
	}
	failed := func(err error) error {
		return &Failure{What: "the cloud gives no key for S3", Why: errors.New(apiclient.Reason(err)), Do: "Look at it:  mek status"}
	}
	c, err := i.client(ctx, cloud)
	if err != nil {
		return failed(err)
	}
	identity, err := c.Service(apiclient.Identity, "")
	if err != nil {
		return failed(err)
	}
	objects, err := c.Service(apiclient.S3, "")
	if err != nil {
		return &Failure{What: "the cloud does not offer S3", Why: err, Do: "Give it a port: objectstore.listen in " + i.cfg.Path(config.OperatorFile)}
	}
	key, err := accessKey(ctx, c, identity)
	if err != nil {
		return failed(err)
	}
	vars := map[string]string{"AWS_ACCESS_KEY_ID": key.Text("access"), "AWS_SECRET_ACCESS_KEY": key.Text("secret"), "AWS_ENDPOINT_URL_S3": objects.Address(),
		"AWS_DEFAULT_REGION": "us-east-1", "AWS_CA_BUNDLE": ""}
	if !i.cfg.InsecureHTTP {
		vars["AWS_CA_BUNDLE"] = i.cfg.Server().CAFile
	}
	return i.exports(vars)
}

// accessKey finds or makes a key of the user in the project.
func accessKey(ctx context.Context, c *apiclient.Client, identity *apiclient.Service) (apiclient.Object, error) {
	user, project, err := c.Who()
	if err != nil {
		return nil, err
	}
	path := "users/" + user + "/credentials/OS-EC2"
	var have struct {
		Credentials []apiclient.Object `json:"credentials"`
	}
	if err := identity.Get(ctx, path, &have); err != nil {
		return nil, err
	}
	for _, k := range have.Credentials {
		if k.Text("tenant_id") == project && k.Text("trust_id") == "" {
			return k, nil
		}
	}
	var made struct {
		Credential apiclient.Object `json:"credential"`
	}
	err = identity.Post(ctx, path, map[string]any{"tenant_id": project}, &made)
	return made.Credential, err
}

// readEntries takes our own copy, or the person's clouds.yaml when that one
// may not be read.
func (i *Installation) readEntries() (map[string]cloudsyaml.Entry, error) {
	entries, err := cloudsyaml.Read(i.ownClouds())
	if err == nil {
		return entries, nil
	}
	entries, err2 := cloudsyaml.Read(i.cloudsFile())
	if err2 != nil {
		return nil, &Failure{What: "credentials cannot be read", Why: err, Do: "Try again with sudo."}
	}
	return entries, nil
}

// quote makes a value one word for a POSIX shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
