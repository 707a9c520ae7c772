package imageapi

import "github.com/mekcloud/mek/internal/policy"

// Upstream's checks, spelled out: the roles, and what ties a caller to an image.
const (
	admin    = "rule:context_is_admin"
	member   = "role:member and project_id:%(project_id)s"
	reader   = "role:reader and project_id:%(project_id)s"
	seen     = "(project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s)"
	asMember = admin + " or (" + member + ")"
	asReader = admin + " or (" + reader + ")"
	asShared = admin + " or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
)

// metadefRules are those of the catalog of metadata definitions: everyone who
// may see a namespace reads what is in it, administrators write.
func metadefRules() []policy.Rule {
	const visible = admin + " or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
	var out []policy.Rule
	add := func(check, description string, names ...string) {
		for _, name := range names {
			out = append(out, policy.Rule{Name: name, Check: check, Description: description, Scopes: []string{policy.ScopeProject}})
		}
	}
	out = append(out, policy.Rule{Name: "metadef_default", Check: "", Description: "What metadata definitions were open to."},
		policy.Rule{Name: "metadef_admin", Check: admin, Description: "Who writes metadata definitions."},
		policy.Rule{Name: "service_api", Check: "role:service or role:admin", Description: "Other services, and administrators."})
	add(asReader, "List namespaces.", "get_metadef_namespaces")
	add(visible, "Read a namespace and its definitions.", "get_metadef_namespace", "get_metadef_objects", "get_metadef_object",
		"get_metadef_properties", "get_metadef_property", "get_metadef_tags", "get_metadef_tag", "get_metadef_resource_type",
		"list_metadef_resource_types")
	add("rule:metadef_admin", "Write metadata definitions.", "add_metadef_namespace", "modify_metadef_namespace", "delete_metadef_namespace",
		"add_metadef_object", "modify_metadef_object", "delete_metadef_object", "add_metadef_property", "modify_metadef_property", "remove_metadef_property",
		"add_metadef_tag", "add_metadef_tags", "modify_metadef_tag", "delete_metadef_tag", "delete_metadef_tags",
		"add_metadef_resource_type_association", "remove_metadef_resource_type_association")
	return out
}

// rules are the policy rules of the service, with upstream's names and defaults.
func rules() []policy.Rule {
	rule := func(name, check, description string) policy.Rule {
		return policy.Rule{Name: name, Check: check, Description: description, Scopes: []string{policy.ScopeProject}}
	}
	return []policy.Rule{
		{Name: "default", Check: "", Description: "Rules without a default of their own."},
		{Name: "context_is_admin", Check: "role:admin", Description: "Who sees and changes every image."},
		rule("add_image", admin+" or ("+member+" and project_id:%(owner)s)", "Create an image."),
		rule("delete_image", asMember, "Delete an image."),
		rule("get_image", admin+" or (role:reader and "+seen+")", "Show an image."),
		rule("get_images", asReader, "List images."),
		rule("modify_image", asMember, "Change an image."),
		rule("publicize_image", admin, "Make an image public."),
		rule("communitize_image", asMember, "Make an image usable by everyone who knows it."),
		rule("download_image", admin+" or (role:member and "+seen+")", "Download an image's bytes."),
		rule("upload_image", asMember, "Upload an image's bytes."),
		rule("add_member", asMember, "Share an image."),
		rule("delete_member", asMember, "Stop sharing an image."),
		rule("get_member", asShared, "Show with whom an image is shared."),
		rule("get_members", asShared, "List with whom an image is shared."),
		rule("modify_member", admin+" or (role:member and project_id:%(member_id)s)", "Accept or reject a shared image."),
		rule("deactivate", asMember, "Keep an image from being used."),
		rule("reactivate", asMember, "Let an image be used again."),
		rule("copy_image", admin, "Copy an image to further stores."),
		rule("delete_image_location", admin, "Remove an image from a store."),
		{Name: "stores_info_detail", Check: admin + " or role:service", Description: "Show how stores are made.", Scopes: []string{policy.ScopeProject}},
		rule("tasks_api_access", admin, "Create, list and show tasks."),
		rule("add_image_location", "rule:service_api or ("+member+" and project_id:%(owner)s)", "Have an image brought from a location."),
		rule("fetch_image_location", "rule:service_api", "Show where an image was brought from."),
	}
}
