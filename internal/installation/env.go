package installation

import (
	"sort"
	"strings"

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
	if i.Print.JSON {
		return i.Print.object(vars)
	}
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	sort.Strings(names)
	i.Print.data("unset OS_CLOUD")
	for _, name := range names {
		if vars[name] != "" {
			i.Print.data("export %s=%s", name, quote(vars[name]))
		}
	}
	return nil
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
