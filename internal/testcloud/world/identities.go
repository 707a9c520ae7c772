package world

import "net/http"

// identities makes one of each thing of the identity service.
func (w *World) identities() {
	const v3 = "/identity/v3"
	a, m := &Person{Token: w.cloud.Admin.Token}, w.m
	group := w.made(a, "group", v3+"/groups", "group.id", Object{"group": Object{"name": "crew", "domain_id": w.Domain}})
	w.set(a, "PUT", v3+"/groups/"+group+"/users/"+m.UserID, nil)
	role := w.made(a, "role", v3+"/roles", "role.id", Object{"role": Object{"name": "keeper"}})
	implied := w.made(a, "implied role", v3+"/roles", "role.id", Object{"role": Object{"name": "helper"}})
	w.set(a, "PUT", v3+"/roles/"+role+"/implies/"+implied, nil)
	for _, who := range []string{"/users/" + m.UserID, "/groups/" + group} {
		for _, where := range []string{"/domains/" + w.Domain, "/projects/" + w.Project} {
			w.set(a, "PUT", v3+where+who+"/roles/"+role, nil)
			w.set(a, "PUT", v3+"/OS-INHERIT"+where+who+"/roles/"+role+"/inherited_to_projects", nil)
		}
		w.set(a, "PUT", v3+"/system"+who+"/roles/"+role, nil)
	}
	region := w.made(a, "region", v3+"/regions", "region.id", Object{"region": Object{"id": "north"}})
	service := w.made(a, "service", v3+"/services", "service.id", Object{"service": Object{"type": "weather", "name": "sky", "enabled": true}})
	endpoint := w.made(a, "endpoint", v3+"/endpoints", "endpoint.id", Object{"endpoint": Object{"service_id": service, "interface": "public",
		"url": "http://127.0.0.1/sky", "region_id": region}})
	policy := w.made(a, "policy", v3+"/policies", "policy.id", Object{"policy": Object{"blob": "{}", "type": "application/json"}})
	of := v3 + "/policies/" + policy + "/OS-ENDPOINT-POLICY"
	for _, path := range []string{"/endpoints/" + endpoint, "/services/" + service, "/services/" + service + "/regions/" + region} {
		w.set(a, "PUT", of+path, nil)
	}
	filter := w.made(a, "endpoint group", v3+"/OS-EP-FILTER/endpoint_groups", "endpoint_group.id",
		Object{"endpoint_group": Object{"name": "public", "filters": Object{"interface": "public"}}})
	w.set(a, "PUT", v3+"/OS-EP-FILTER/endpoint_groups/"+filter+"/projects/"+w.Third, nil)
	w.set(a, "PUT", v3+"/OS-EP-FILTER/projects/"+w.Third+"/endpoints/"+endpoint, nil)
	w.made(a, "registered limit", v3+"/registered_limits", "registered_limits.0.id", Object{"registered_limits": []Object{{"service_id": service,
		"resource_name": "clouds", "default_limit": 5}}})
	w.made(a, "limit", v3+"/limits", "limits.0.id", Object{"limits": []Object{{"service_id": service, "resource_name": "clouds", "project_id": w.Project, "resource_limit": 3}}})
	w.made(m, "credential", v3+"/credentials", "credential.id", Object{"credential": Object{"type": "cert", "blob": "x", "user_id": m.UserID, "project_id": w.Project}})
	for _, name := range []string{"project reader", "project member", "project manager", "project admin", "member of another project", "no role"} {
		w.keys(w.People.Named(name))
	}
	w.Things["ec2"] = m.Access
	w.made(a, "consumer", v3+"/OS-OAUTH1/consumers", "consumer.id", Object{"consumer": Object{}})
	w.set(a, "PUT", v3+"/domains/"+w.Domain+"/config", Object{"config": Object{"identity": Object{"driver": "sql"}, "ldap": Object{"url": "ldap://127.0.0.1"}}})
	w.set(a, "PUT", v3+"/projects/"+w.Project+"/tags/blue", nil)
	const federation = v3 + "/OS-FEDERATION"
	w.set(a, "PUT", federation+"/mappings/mapping", Object{"mapping": Object{"rules": []Object{{"local": []Object{{"user": Object{"name": "{0}"}}}, "remote": []Object{{"type": "uid"}}}}}})
	w.set(a, "PUT", federation+"/identity_providers/idp", Object{"identity_provider": Object{"enabled": true, "remote_ids": []string{"urn:idp"}}})
	w.set(a, "PUT", federation+"/identity_providers/idp/protocols/saml2", Object{"protocol": Object{"mapping_id": "mapping"}})
	w.set(a, "PUT", federation+"/service_providers/sp", Object{"service_provider": Object{"auth_url": "http://127.0.0.1/v3/auth", "sp_url": "http://127.0.0.1/ecp", "enabled": true}})
	w.Things["second token"] = w.login(m.UserID, onProject(w.Project))
	w.legacy(a)
}

// keys gives a person a pair to sign requests with; who has no project gets none.
func (w *World) keys(p *Person) {
	project := w.Project
	if p.Name == "member of another project" {
		project = w.Other
	}
	made := w.admin("POST", "/identity/v3/users/"+p.UserID+"/credentials/OS-EC2", Object{"tenant_id": project})
	if made.Status == http.StatusCreated {
		p.Access, p.Secret = made.String("credential.access"), made.String("credential.secret")
	}
}

// legacy finds and makes what the old API is about: it knows the default domain only.
func (w *World) legacy(a *Person) {
	const v2 = "/identity/v2.0"
	w.Things["tenant"] = w.cloud.Demo.ProjectID
	w.Things["old user"] = w.cloud.Demo.UserID
	w.Things["old token"] = w.cloud.Login("demo", "demo-secret", "demo").Token
	w.Things["old ec2"] = w.set(a, "POST", v2+"/users/"+w.cloud.Demo.UserID+"/credentials/OS-EC2", Object{"tenant_id": w.cloud.Demo.ProjectID}).String("credential.access")
	w.set(a, "PUT", v2+"/tenants/"+w.cloud.Demo.ProjectID+"/users/"+w.cloud.Demo.UserID+"/roles/OS-KSADM/"+w.Things["role"], nil)
}
