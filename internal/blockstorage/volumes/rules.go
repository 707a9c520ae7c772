package volumes

import (
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/policy"
)

const (
	ruleCreate          = "volume:create"
	ruleCreateFromImage = "volume:create_from_image"
	ruleMultiattach     = "volume:multiattach"
	ruleGet             = "volume:get"
	ruleGetAll          = "volume:get_all"
	ruleUpdate          = "volume:update"
	ruleDelete          = "volume:delete"
	ruleTenant          = "volume_extension:volume_tenant_attribute"
	ruleHost            = "volume_extension:volume_host_attribute"
	ruleMigration       = "volume_extension:volume_mig_status_attribute"
	ruleMetaGet         = "volume:get_volume_metadata"
	ruleMetaCreate      = "volume:create_volume_metadata"
	ruleMetaUpdate      = "volume:update_volume_metadata"
	ruleMetaDelete      = "volume:delete_volume_metadata"
	ruleImageMetaShow   = "volume_extension:volume_image_metadata:show"
	ruleImageMetaSet    = "volume_extension:volume_image_metadata:set"
	ruleImageMetaRemove = "volume_extension:volume_image_metadata:remove"
	ruleExtend          = "volume:extend"
	ruleExtendAttached  = "volume:extend_attached_volume"
	ruleResetStatus     = "volume_extension:volume_admin_actions:reset_status"
	ruleForceDelete     = "volume_extension:volume_admin_actions:force_delete"
	ruleForceDetach     = "volume_extension:volume_admin_actions:force_detach"
	ruleUpload          = "volume_extension:volume_actions:upload_image"
	ruleUploadPublic    = "volume_extension:volume_actions:upload_public"
	ruleReserve         = "volume_extension:volume_actions:reserve"
	ruleUnreserve       = "volume_extension:volume_actions:unreserve"
	ruleBeginDetaching  = "volume_extension:volume_actions:begin_detaching"
	ruleRollDetaching   = "volume_extension:volume_actions:roll_detaching"
	ruleAttach          = "volume_extension:volume_actions:attach"
	ruleDetach          = "volume_extension:volume_actions:detach"
	ruleRetype          = "volume:retype"
	ruleReadOnly        = "volume:update_readonly_flag"
	ruleDeleteForced    = "volume:force_delete"
	ruleEncryption      = "volume_extension:volume_encryption_metadata"
	ruleExtendCompleted = "volume_extension:volume_admin_actions:extend_volume_completion"
	ruleMigrate         = "volume_extension:volume_admin_actions:migrate_volume"
	ruleMigrated        = "volume_extension:volume_admin_actions:migrate_volume_completion"
	ruleRevert          = "volume:revert_to_snapshot"
	ruleReimage         = "volume:reimage"
	ruleReimageReserved = "volume:reimage_reserved"
	ruleUnmanage        = "volume_extension:volume_unmanage"
	ruleInitialize      = "volume_extension:volume_actions:initialize_connection"
	ruleTerminate       = "volume_extension:volume_actions:terminate_connection"
)

// Rules are the policy rules of volumes, with upstream's names and defaults.
func Rules() []policy.Rule {
	return wire.Rules("Volumes", map[string][]string{
		policy.ProjectReaderOrAdmin: {ruleGet, ruleGetAll, ruleTenant, ruleMetaGet, ruleImageMetaShow, ruleEncryption},
		policy.ProjectMemberOrAdmin: {ruleCreate, ruleCreateFromImage, ruleMultiattach, ruleUpdate, ruleDelete, ruleMetaCreate, ruleMetaUpdate, ruleMetaDelete, ruleImageMetaSet,
			ruleImageMetaRemove, ruleExtend, ruleExtendAttached, ruleUpload, ruleReserve, ruleUnreserve, ruleBeginDetaching, ruleRollDetaching, ruleAttach,
			ruleDetach, ruleReadOnly, ruleRetype, ruleRevert, ruleReimage, ruleReimageReserved, ruleInitialize, ruleTerminate},
		policy.Admin: {ruleHost, ruleMigration, ruleResetStatus, ruleForceDelete, ruleForceDetach, ruleUploadPublic, ruleDeleteForced, ruleExtendCompleted, ruleMigrate, ruleMigrated,
			ruleUnmanage},
	})
}
