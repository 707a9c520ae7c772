package policy

// Checks that name the shared rules of Base.
const (
	Any                    = "@"
	Nobody                 = "!"
	Admin                  = "rule:context_is_admin"
	AdminAPI               = "rule:admin_api"
	AdminRequired          = "rule:admin_required"
	AdminOrOwner           = "rule:admin_or_owner"
	ProjectManager         = "rule:project_manager_api"
	ProjectMember          = "rule:project_member_api"
	ProjectReader          = "rule:project_reader_api"
	ProjectManagerOrAdmin  = "rule:project_manager_or_admin"
	ProjectMemberOrAdmin   = "rule:project_member_or_admin"
	ProjectReaderOrAdmin   = "rule:project_reader_or_admin"
	SystemAdmin            = "rule:system_admin_api"
	SystemReader           = "rule:system_reader_api"
	SystemOrProjectReader  = "rule:system_or_project_reader"
	ServiceAPI             = "rule:service_api"
	ServiceOrAdmin         = "rule:service_or_admin"
	AdminOrService         = "rule:admin_or_service_api"
	AdminOrReaderOrService = "rule:admin_or_project_reader_or_service_api"
)

// Base is the rules that upstream's services share, under upstream's names.
// Names that mean different things in different services ("owner", "default")
// are left to the services; each has an enforcer of its own, with its rules
// over these.
func Base() []Rule {
	const legacyAdmin, legacyOwner = "is_admin:True", "is_admin:True or project_id:%(project_id)s"
	return []Rule{
		{Name: "context_is_admin", Check: "role:admin", Description: "Who is_admin:True is true for."},
		{Name: "admin_required", Check: "role:admin or is_admin:1", Description: "Administrators, in Keystone's words."},
		{Name: "admin_only", Check: "rule:context_is_admin", Description: "Administrators, in Neutron's words."},
		{Name: "admin_api", Check: "is_admin:True", Description: "Administrators, in the words of Nova and Cinder."},
		{Name: "admin_or_owner", Check: "is_admin:True or project_id:%(project_id)s", Description: "Administrators, and everyone in the owning project."},
		{Name: "project_manager_api", Check: "role:manager and project_id:%(project_id)s", Deprecated: legacyAdmin, Description: "Managers of the owning project."},
		{Name: "project_member_api", Check: "role:member and project_id:%(project_id)s", Deprecated: legacyOwner, Description: "Members of the owning project."},
		{Name: "project_reader_api", Check: "role:reader and project_id:%(project_id)s", Deprecated: legacyOwner, Description: "Readers of the owning project."},
		{Name: "project_manager_or_admin", Check: "rule:project_manager_api or rule:context_is_admin", Deprecated: legacyAdmin, Description: "Managers of the owning project, and administrators."},
		{Name: "project_member_or_admin", Check: "rule:project_member_api or rule:context_is_admin", Deprecated: legacyOwner, Description: "Members of the owning project, and administrators."},
		{Name: "project_reader_or_admin", Check: "rule:project_reader_api or rule:context_is_admin", Deprecated: legacyOwner, Description: "Readers of the owning project, and administrators."},
		{Name: "xena_system_admin_or_project_member", Check: "(role:admin) or (role:member and project_id:%(project_id)s)", Description: "As project_member_or_admin, in Cinder's words."},
		{Name: "xena_system_admin_or_project_reader", Check: "(role:admin) or (role:reader and project_id:%(project_id)s)", Description: "As project_reader_or_admin, in Cinder's words."},
		{Name: "system_admin_api", Check: "role:admin and system_scope:all", Deprecated: "role:admin", Description: "Administrators of the whole system."},
		{Name: "system_reader_api", Check: "role:reader and system_scope:all", Deprecated: "role:admin", Description: "Readers of the whole system."},
		{Name: "system_or_project_reader", Check: "rule:system_reader_api or rule:project_reader_api", Deprecated: "role:admin", Description: "Readers of the system or of the owning project."},
		{Name: "service_role", Check: "role:service", Description: "Other services, in Keystone's words."},
		{Name: "service_api", Check: "role:service", Description: "Other services."},
		{Name: "service_or_admin", Check: "rule:admin_required or rule:service_role", Description: "Other services, and administrators."},
		{Name: "admin_or_service_api", Check: "role:admin or role:service", Description: "Administrators and other services, in Placement's words."},
		{Name: "admin_or_project_reader_or_service_api", Check: "role:admin or rule:project_reader_api or role:service", Description: "As admin_or_service_api, and readers of the owning project."},
	}
}
