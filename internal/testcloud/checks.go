package testcloud

import (
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/network/northbound"
)

// HostCodes are codes of checks that a test cloud does not have: there is no
// OVN under it.
func HostCodes() []check.Code { return (&northbound.Sync{}).Checks()[0].Codes }
