package network

import "slices"

// Everybody stands for all projects in a sharing policy.
const Everybody = "*"

// The actions of sharing policies.
const (
	AccessShared   = "access_as_shared"
	AccessExternal = "access_as_external" // of networks: as the outside of routers
)

// The types of objects that can be shared, in the words of policies.
const (
	TypeNetwork       = "network"
	TypeSecurityGroup = "security_group"
	TypeSubnetPool    = "subnetpool"
	TypeAddressScope  = "address_scope"
	TypeAddressGroup  = "address_group"
	TypeQoSPolicy     = "qos_policy"
)

// SharePolicy lets a project use an object of another one.
type SharePolicy struct {
	Standard
	ObjectType string
	ObjectID   string
	Action     string
	Target     string // a project, or Everybody
}

// Audience is the projects that an object is shared with.
type Audience []string

// Includes tells whether a project is among them.
func (a Audience) Includes(project string) bool {
	return slices.Contains(a, Everybody) || project != "" && slices.Contains(a, project)
}
