package matrix

import (
	"strings"

	"github.com/mekcloud/mek/internal/testcloud/world"
)

// bodies are requests that no type tells: where a handler reads the body by
// itself, or where members must fit the world. A media type other than JSON
// stands before the body, on a line of its own.
func bodies(w *world.World) map[string]string {
	member := w.People.Named("project member").UserID
	fill := strings.NewReplacer("$project", w.Project, "$third", w.Third, "$domain", w.Domain, "$member", member, "$trustee", w.Trustee,
		"$token", w.Things["second token"],
		"$network", w.Things["network"], "$group", w.Things["security group"])
	out := map[string]string{}
	for line := range strings.Lines(requests) {
		op, body, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if ok {
			out[op] = fill.Replace(strings.Replace(body, "  ", "\n", 1))
		}
	}
	return out
}

const requests = `
cinder PUT /v3/snapshots/{id}/metadata/{key}  {"meta":{"a":"c"}}
cinder PUT /v3/volumes/{id}/metadata/{key}  {"meta":{"a":"c"}}
glance PATCH /v2/images/{id}  application/openstack-images-v2.1-json-patch  [{"op":"replace","path":"/name","value":"x"}]
glance POST /v2/images/{id}/import  {"method":{"name":"copy-image"},"all_stores":true}
glance POST /v2/images/{id}/locations  {"url":"http://127.0.0.2/image"}
glance POST /v2/tasks  {"type":"api_image_import","input":{}}
glance POST /v2/images/{id}/members  {"member":"$domain"}
glance POST /v2/metadefs/namespaces/{namespace}/objects  {"name":"more","properties":{}}
glance POST /v2/metadefs/namespaces/{namespace}/properties  {"name":"more","title":"More","type":"string"}
glance POST /v2/metadefs/namespaces/{namespace}/resource_types  {"name":"OS::Nova::Server"}
glance PUT /v2/images/{id}/file  application/octet-stream  bytes
glance PUT /v2/images/{id}/stage  application/octet-stream  bytes
glance PUT /v2/images/{id}/members/{member}  {"status":"accepted"}
glance PUT /v2/metadefs/namespaces/{namespace}  {"namespace":"Ns","visibility":"private","owner":"$project"}
glance PUT /v2/metadefs/namespaces/{namespace}/objects/{name}  {"name":"thing","properties":{}}
glance PUT /v2/metadefs/namespaces/{namespace}/properties/{name}  {"name":"size","title":"Size","type":"integer"}
glance PUT /v2/metadefs/namespaces/{namespace}/tags/{name}  {"name":"blue"}
keystone PATCH /v3/domains/{id}/config  {"config":{"ldap":{"url":"ldap://127.0.0.2"}}}
keystone PUT /v3/domains/{id}/config  {"config":{"ldap":{"url":"ldap://127.0.0.2"}}}
keystone PATCH /v3/domains/{id}/config/{group}  {"config":{"ldap":{"url":"ldap://127.0.0.2"}}}
keystone PATCH /v3/domains/{id}/config/{group}/{option}  {"config":{"url":"ldap://127.0.0.2"}}
keystone POST /v3/OS-TRUST/trusts  {"trust":{"trustor_user_id":"$member","trustee_user_id":"$trustee","project_id":"$project","impersonation":false,"roles":[{"name":"member"}]}}
keystone POST /v3/credentials  {"credential":{"type":"cert","blob":"y","user_id":"$member","project_id":"$project"}}
keystone POST /v3/auth/OS-FEDERATION/saml2  {"auth":{"identity":{"methods":["token"],"token":{"id":"$token"}},"scope":{"service_provider":{"id":"sp"}}}}
keystone POST /v3/auth/OS-FEDERATION/saml2/ecp  {"auth":{"identity":{"methods":["token"],"token":{"id":"$token"}},"scope":{"service_provider":{"id":"sp"}}}}
keystone POST /v3/groups  {"group":{"name":"more","domain_id":"$domain"}}
keystone POST /v3/projects  {"project":{"name":"more","domain_id":"$domain"}}
keystone POST /v3/roles  {"role":{"name":"more"}}
keystone POST /v3/users  {"user":{"name":"more","domain_id":"$domain"}}
neutron POST /v2.0/ports  {"port":{"network_id":"$network"}}
neutron POST /v2.0/security-group-rules  {"security_group_rule":{"security_group_id":"$group","direction":"egress","protocol":"udp"}}
neutron POST /v2.0/subnets  {"subnet":{"network_id":"$network","cidr":"10.21.0.0/24","ip_version":4}}
nova POST /v2.1/servers/{id}/migrations/{migration}/action force_complete  {"force_complete":null}
`
