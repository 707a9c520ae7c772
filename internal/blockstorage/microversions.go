package blockstorage

import "github.com/mekcloud/mek/internal/microversion"

// The versions of the volume API that change something here, by what they change.
const (
	MinVersion = microversion.Version(3000)
	MaxVersion = microversion.Version(3070)

	UserMessages      = microversion.Version(3003)
	Clusters          = microversion.Version(3007)
	GroupOnVolume     = microversion.Version(3013)
	GroupOnSnapshot   = microversion.Version(3014)
	MetadataETag      = microversion.Version(3015)
	Summary           = microversion.Version(3012)
	ProviderID        = microversion.Version(3021)
	SnapshotMetadata  = microversion.Version(3022)
	ForceOnDelete     = microversion.Version(3023)
	AttachmentsAPI    = microversion.Version(3027)
	PoolFilters       = microversion.Version(3028)
	ResourceFilters   = microversion.Version(3033)
	LikeFilters       = microversion.Version(3034)
	SummaryMetadata   = microversion.Version(3036)
	LimitsOfOthers    = microversion.Version(3039)
	SnapshotUser      = microversion.Version(3041)
	ExtendInUse       = microversion.Version(3042)
	CompleteAttach    = microversion.Version(3044)
	Counts            = microversion.Version(3045)
	BackupOnCreate    = microversion.Version(3047)
	SharedTargets     = microversion.Version(3048)
	BackendState      = microversion.Version(3049)
	ZonesOfTypes      = microversion.Version(3052)
	AttachMode        = microversion.Version(3054)
	TransfersAPI      = microversion.Version(3055)
	TransferParties   = microversion.Version(3057)
	TimeFilters       = microversion.Version(3060)
	ClusterName       = microversion.Version(3061)
	DefaultTypes      = microversion.Version(3062)
	TypeID            = microversion.Version(3063)
	ConsumesQuota     = microversion.Version(3065)
	SnapshotUnforced  = microversion.Version(3066)
	Reimaging         = microversion.Version(3068) // os-reimage
	SharedTargetsNull = microversion.Version(3069)
)
