package compute

import "github.com/mekcloud/mek/internal/microversion"

// The versions of the API that change something, by what they change. Code
// uses these names, never numbers.
const (
	KeyPairTypes         = microversion.Version(2002) // key pairs have a type; create answers 201, delete 204
	ExtendedAttributes   = microversion.Version(2003) // hostname, launch index, user data and others shown to administrators
	RemoteConsoles       = microversion.Version(2006) // POST …/remote-consoles; the four get…Console actions go
	NoTenantAccessPublic = microversion.Version(2007) // no access entries for public flavors
	ServerLocked         = microversion.Version(2009) // servers show locked
	KeyPairsOfOthers     = microversion.Version(2010) // administrators manage other users' key pairs
	EvacuateShared       = microversion.Version(2014) // evacuate is told no more of shared storage
	ForcedDown           = microversion.Version(2011) // compute services can be forced down
	HostStatus           = microversion.Version(2016) // servers show host_status
	CrashDump            = microversion.Version(2017) // trigger_crash_dump
	ServerDescription    = microversion.Version(2019)
	ActionsOfDeleted     = microversion.Version(2021) // the action log of deleted servers
	ForceComplete        = microversion.Version(2022) // live migrations can be made to end soon
	ServerMigrations     = microversion.Version(2023) // the live migrations of one server; lists of migrations show their kind
	AbortMigration       = microversion.Version(2024)
	BlockMigrationAuto   = microversion.Version(2025)
	ServerTags           = microversion.Version(2026)
	HypervisorCPUInfo    = microversion.Version(2028) // cpu_info is an object
	AllConsoleTokens     = microversion.Version(2031) // console tokens of every kind can be looked at
	DeviceTags           = microversion.Version(2032)
	LiveMigrationAsync   = microversion.Version(2034) // what stands in a live migration's way is found out by itself
	HypervisorPaging     = microversion.Version(2033)
	KeyPairPaging        = microversion.Version(2035)
	NoProxies            = microversion.Version(2036) // the proxies to images, networks and volumes go
	RequiredNetworks     = microversion.Version(2037) // networks must be given: auto, none or a list
	UsagePaging          = microversion.Version(2040)
	ImageIDInBody        = microversion.Version(2045) // createImage answers the image's id in its body, not as Location
	NoHosts              = microversion.Version(2043) // os-hosts goes
	EmbeddedFlavor       = microversion.Version(2047) // the server's flavor is embedded, not linked
	DiagnosticsModel     = microversion.Version(2048) // diagnostics have one model for all drivers
	QuotaWithoutNetwork  = microversion.Version(2050)
	EventUpdatedAt       = microversion.Version(2051)
	TagsOnCreate         = microversion.Version(2052)
	UUIDsForServices     = microversion.Version(2053) // services and hypervisors are named by UUID
	RebuildKey           = microversion.Version(2054)
	FlavorDescription    = microversion.Version(2055)
	MigrateHost          = microversion.Version(2056) // cold migrations may name their host
	NoPersonality        = microversion.Version(2057) // file injection goes
	ActionsPaging        = microversion.Version(2058)
	MigrationPaging      = microversion.Version(2059)
	MultiAttach          = microversion.Version(2060)
	FlavorExtraSpecs     = microversion.Version(2061) // flavors show their extra specs
	ActionEventHost      = microversion.Version(2062)
	TrustedCertificates  = microversion.Version(2063)
	ServerGroupPolicy    = microversion.Version(2064)
	ChangesBefore        = microversion.Version(2066)
	VolumeTypeOnCreate   = microversion.Version(2067)
	PartialResults       = microversion.Version(2069)
	AttachmentTags       = microversion.Version(2070)
	ServerGroupOfServer  = microversion.Version(2071)
	LockReason           = microversion.Version(2073)
	HostOnCreate         = microversion.Version(2074)
	StrictEverywhere     = microversion.Version(2075) // unknown parameters refused; views complete everywhere
	UnshelveZone         = microversion.Version(2077)
	PowerUpdate          = microversion.Version(2076) // external event power-update
	ServerTopology       = microversion.Version(2078)
	DeleteOnTermination  = microversion.Version(2079)
	MigrationOwners      = microversion.Version(2080)
	AcceleratorBound     = microversion.Version(2082) // external event accelerator-request-bound
	ActionEventDetails   = microversion.Version(2084)
	UpdateDeleteOnTerm   = microversion.Version(2085)
	RescueVolumeBacked   = microversion.Version(2087)
	HypervisorsSlim      = microversion.Version(2088)
	AttachmentUUIDs      = microversion.Version(2089)
	ChosenHostname       = microversion.Version(2090)
	UnshelveHost         = microversion.Version(2091)
	NoKeyPairGeneration  = microversion.Version(2092)
	RebuildVolumeBacked  = microversion.Version(2093)
	QualifiedHostname    = microversion.Version(2094) // hostname may be fully qualified
	EvacuateStopped      = microversion.Version(2095) // evacuated servers stay switched off
	PinnedZoneShown      = microversion.Version(2096) // servers show the zone that was asked for
	MinVersion           = microversion.Version(2001)
	MaxVersion           = microversion.Version(2096)
)
