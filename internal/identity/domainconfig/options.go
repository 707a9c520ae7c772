package domainconfig

// option is what a domain may set. Secret ones have no readable default.
type option struct {
	group, name string
	secret      bool
	standard    any // what upstream's configuration file has without the line
}

// options is upstream's list, in its order.
var options = []option{
	{"identity", "driver", false, "sql"},
	{"identity", "list_limit", false, nil},
	{"ldap", "url", false, "ldap://localhost"},
	{"ldap", "user", false, nil},
	{"ldap", "suffix", false, "cn=example,cn=com"},
	{"ldap", "query_scope", false, "one"},
	{"ldap", "page_size", false, 0},
	{"ldap", "alias_dereferencing", false, "default"},
	{"ldap", "debug_level", false, nil},
	{"ldap", "chase_referrals", false, nil},
	{"ldap", "user_tree_dn", false, nil},
	{"ldap", "user_filter", false, nil},
	{"ldap", "user_objectclass", false, "inetOrgPerson"},
	{"ldap", "user_id_attribute", false, "cn"},
	{"ldap", "user_name_attribute", false, "sn"},
	{"ldap", "user_mail_attribute", false, "mail"},
	{"ldap", "user_description_attribute", false, "description"},
	{"ldap", "user_pass_attribute", false, "userPassword"},
	{"ldap", "user_enabled_attribute", false, "enabled"},
	{"ldap", "user_enabled_invert", false, false},
	{"ldap", "user_enabled_mask", false, 0},
	{"ldap", "user_enabled_default", false, "True"},
	{"ldap", "user_attribute_ignore", false, []string{"default_project_id"}},
	{"ldap", "user_default_project_id_attribute", false, nil},
	{"ldap", "user_enabled_emulation", false, false},
	{"ldap", "user_enabled_emulation_dn", false, nil},
	{"ldap", "user_enabled_emulation_use_group_config", false, false},
	{"ldap", "user_additional_attribute_mapping", false, []string{}},
	{"ldap", "group_tree_dn", false, nil},
	{"ldap", "group_filter", false, nil},
	{"ldap", "group_objectclass", false, "groupOfNames"},
	{"ldap", "group_id_attribute", false, "cn"},
	{"ldap", "group_name_attribute", false, "ou"},
	{"ldap", "group_members_are_ids", false, false},
	{"ldap", "group_member_attribute", false, "member"},
	{"ldap", "group_desc_attribute", false, "description"},
	{"ldap", "group_attribute_ignore", false, []string{}},
	{"ldap", "group_additional_attribute_mapping", false, []string{}},
	{"ldap", "tls_cacertfile", false, nil},
	{"ldap", "tls_cacertdir", false, nil},
	{"ldap", "use_tls", false, false},
	{"ldap", "tls_req_cert", false, "demand"},
	{"ldap", "use_pool", false, true},
	{"ldap", "pool_size", false, 10},
	{"ldap", "pool_retry_max", false, 3},
	{"ldap", "pool_retry_delay", false, 0.1},
	{"ldap", "pool_connection_timeout", false, -1},
	{"ldap", "pool_connection_lifetime", false, 600},
	{"ldap", "use_auth_pool", false, true},
	{"ldap", "auth_pool_size", false, 100},
	{"ldap", "auth_pool_connection_lifetime", false, 60},
	{"ldap", "password", true, nil},
}

// find gives an option, nil when there is none of the name.
func find(group, name string) *option {
	for i := range options {
		if options[i].group == group && options[i].name == name {
			return &options[i]
		}
	}
	return nil
}

func known(group string) bool {
	for _, o := range options {
		if o.group == group {
			return true
		}
	}
	return false
}
