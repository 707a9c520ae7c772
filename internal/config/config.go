package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Config is everything a cloud on this machine can be told. The names in the
// files are the koanf tags, nested with dots.
type Config struct {
	DataDir string `koanf:"-"` // absolute; says which cloud it is, so it comes from the command line only

	Hash         string   `koanf:"hash"`          // eight hexadecimal digits; the first four are in the names of links
	HostName     string   `koanf:"host_name"`     // of this host in the cloud
	Listen       string   `koanf:"listen"`        // HOST:PORT of the front door
	ServerNames  []string `koanf:"server_names"`  // further names and addresses for the certificate
	InsecureHTTP bool     `koanf:"insecure_http"` // plain HTTP, on loopback only
	ClassicPorts bool     `koanf:"classic_ports"` // not built yet
	PublicURL    string   `koanf:"public_url"`    // scheme://host:port that catalogs show; empty: what the client used
	Region       string   `koanf:"region"`
	Bare         bool     `koanf:"bare"`     // no samples
	Simulate     int      `koanf:"simulate"` // number of simulated hosts; 0: this machine is the host
	// SimulateApart: the simulated hosts are processes of their own (mek agent --simulate), which join as real ones do.
	SimulateApart bool   `koanf:"simulate_apart"`
	ServerOnly    bool   `koanf:"server_only"` // a further server of a cloud: no agent and no network engines on this machine
	LogLevel      string `koanf:"log_level"`   // debug, info, warn, error
	Image         string `koanf:"image"`       // file of the image "tiny"; empty: looked for

	// Address is this machine's, where the cloud's other machines reach it; empty: there are none.
	Address string `koanf:"address"`
	Join    Join   `koanf:"join"`

	Database string `koanf:"database"` // sqlite:///path or postgres://…
	// ShipTo is a folder, best on another disk, that the log of an SQLite database
	// is copied to while it is written; empty: none.
	ShipTo  string   `koanf:"ship_to"`
	Servers []string `koanf:"servers"` // HOST:PORT of every server's bus, for this host's agent; empty: the one of this machine
	// SharedDir is a folder that all servers of the cloud see: images, backups of
	// volumes, objects. Empty: the data directory, for one server.
	SharedDir string   `koanf:"shared_dir"`
	Bus       Bus      `koanf:"bus"`
	Identity  Identity `koanf:"identity"`
	Network   Network  `koanf:"network"`
	Compute   Compute  `koanf:"compute"`
	Objects   Objects  `koanf:"objectstore"`
	Limits    Limits   `koanf:"limits"`
	// WebDownload lets users have images fetched from addresses they name.
	WebDownload WebDownload    `koanf:"web_download"`
	Quotas      map[string]int `koanf:"quotas"` // by Nova's, Neutron's and Cinder's names; -1: unlimited. What is absent has upstream's default
	Policy      string         `koanf:"policy"` // policy.yaml of the operator; empty: policy.yaml in the data directory
}

// Bus is where the server meets its agents, by mutual TLS.
type Bus struct {
	Listen  string `koanf:"listen"`  // HOST:PORT for messages (NATS)
	Streams string `koanf:"streams"` // HOST:PORT for byte streams that agents dial
}

// Join is what a machine was told when it joined a cloud; empty where a server runs.
type Join struct {
	API []string `koanf:"api"` // https://HOST:PORT of servers, where certificates are renewed
}

// Identity holds Keystone's options that operators change.
type Identity struct {
	TokenLifetime              time.Duration `koanf:"token_lifetime"`
	PasswordHash               string        `koanf:"password_hash"` // argon2id or bcrypt
	MaxPasswordLength          int           `koanf:"max_password_length"`
	LockoutFailureAttempts     int           `koanf:"lockout_failure_attempts"`
	LockoutDuration            time.Duration `koanf:"lockout_duration"`
	DisableUserDaysInactive    int           `koanf:"disable_user_days_inactive"`
	ChangePasswordUponFirstUse bool          `koanf:"change_password_upon_first_use"`
	PasswordExpiresDays        int           `koanf:"password_expires_days"`
	PasswordRegex              string        `koanf:"password_regex"`
	PasswordRegexDescription   string        `koanf:"password_regex_description"`
	UniqueLastPasswordCount    int           `koanf:"unique_last_password_count"`
	MinimumPasswordAgeDays     int           `koanf:"minimum_password_age"`
	Federation                 Federation    `koanf:"federation"`
}

// Network is what networks are made from. Ranges are chosen so that they do
// not overlap a route of the host.
type Network struct {
	PublicRange   string   `koanf:"public_range"`   // of network "public", behind address translation
	PrivateRange  string   `koanf:"private_range"`  // of network "private"
	MetadataRange string   `koanf:"metadata_range"` // addresses that stand for ports when guests ask for metadata
	MetadataPort  int      `koanf:"metadata_port"`
	TunnelAddress string   `koanf:"tunnel_address"` // of this host; empty: the loopback address
	DNSServers    []string `koanf:"dns_servers"`
	PhysicalNet   string   `koanf:"physical_network"` // Neutron's provider:physical_network of "public"
	DNSDomain     string   `koanf:"dns_domain"`

	// What a guest may send by a port unless its flavor says otherwise, each second; 0: any.
	PortFrames int `koanf:"port_frames_sec"`
	PortMiB    int `koanf:"port_mib_sec"`
}

// Compute is how this host runs guests.
type Compute struct {
	Accelerator  string  `koanf:"accelerator"` // auto, kvm or tcg
	Emulator     string  `koanf:"emulator"`    // path of QEMU; empty: looked for
	CPURatio     float64 `koanf:"cpu_allocation_ratio"`
	MemoryRatio  float64 `koanf:"ram_allocation_ratio"`
	DiskRatio    float64 `koanf:"disk_allocation_ratio"`
	ReservedMiB  int     `koanf:"reserved_host_memory_mb"`
	ReservedDisk int     `koanf:"reserved_host_disk_mb"` // MiB
	FirstGuestID int     `koanf:"first_guest_uid"`       // user ids of guests are taken from here on
	GuestIDs     int     `koanf:"guest_uids"`            // how many

	// What each disk of a guest may do unless the flavor says otherwise, each second; 0: any.
	DiskMiB      int `koanf:"disk_mib_sec"`
	DiskRequests int `koanf:"disk_iops_sec"`

	ConfirmAfter time.Duration `koanf:"resize_confirm_window"` // resizes are confirmed by themselves; 0: never
	KeepHistory  time.Duration `koanf:"history_retention"`     // of deleted servers: action logs, migrations, usage; 0: for ever
}

// WebDownload is what the server may fetch for users. Off: nothing.
type WebDownload struct {
	Enabled bool     `koanf:"enabled"`
	Allow   []string `koanf:"allow"` // ADDRESS:PORT of places that are not public, or not on ports 80 and 443
}

// Objects is where object storage keeps its bytes.
type Objects struct {
	Dir        string `koanf:"dir"`         // absolute; empty: in the data directory
	ReserveMiB int    `koanf:"reserve_mib"` // of the file system that objects leave free
	// Listen is HOST:PORT of a port for S3, and for Swift without a prefix: many S3
	// clients know no path in front of a bucket. A port alone is on the host of the
	// front door; "off" for none.
	Listen  string   `koanf:"listen"`
	Domains []string `koanf:"s3_domains"` // host names below which a bucket may stand: "bucket.s3.example.org"
	InfoKey string   `koanf:"info_key"`   // signs requests for the admin section of Swift's /info; empty: there is none
}

// Limits is what one caller may ask of the front door: a project, a user without
// one, or an address without a token. Rates are per second; 0: no limit.
type Limits struct {
	Reads          float64 `koanf:"reads"`
	ReadsBurst     float64 `koanf:"reads_burst"`
	Writes         float64 `koanf:"writes"`
	WritesBurst    float64 `koanf:"writes_burst"`
	MiB            float64 `koanf:"mib"` // of bodies, both ways
	MiBBurst       float64 `koanf:"mib_burst"`
	Strangers      float64 `koanf:"strangers"` // requests without a token of one address
	StrangersBurst float64 `koanf:"strangers_burst"`
	Open           int     `koanf:"open"`                    // requests that are not answered yet
	Alone          int     `koanf:"alone"`                   // requests worked on at once while nobody else asks; 0: eight per processor, 32 at least
	Share          int     `koanf:"share"`                   // the same while others ask; 0: one less than processors
	Connections    int     `koanf:"connections"`             // of the front door, in all
	PerAddress     int     `koanf:"connections_per_address"` // loopback excepted

	HeaderTimeout time.Duration `koanf:"header_timeout"` // for a request's head, and for the handshake
	StallTimeout  time.Duration `koanf:"stall_timeout"`  // a body that stands still for so long is given up; twice as long for what nobody reads
}

// Default is a cloud in dataDir that nobody has told anything.
func Default(dataDir string) Config {
	sum := sha256.Sum256([]byte(dataDir))
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	listen := "0.0.0.0:443"
	if os.Geteuid() != 0 && !isServiceUser() {
		listen = "0.0.0.0:8443" // only root opens ports below 1024
	}
	return Config{
		DataDir: dataDir, Hash: hex.EncodeToString(sum[:4]), HostName: host,
		Listen: listen, Region: "RegionOne", LogLevel: "info",
		Database: "sqlite://" + filepath.Join(dataDir, "db", "mek.db"),
		Bus:      Bus{Listen: "127.0.0.1:4224", Streams: "127.0.0.1:4225"},
		Identity: Identity{TokenLifetime: time.Hour, PasswordHash: "argon2id", MaxPasswordLength: 128, LockoutDuration: 30 * time.Minute},
		Network: Network{PublicRange: "172.24.4.0/24", PrivateRange: "10.20.0.0/24", MetadataRange: "100.64.0.0/18", MetadataPort: 80,
			DNSServers: []string{"9.9.9.9"}, PhysicalNet: "public", DNSDomain: "openstacklocal",
			PortFrames: 50_000, PortMiB: 250},
		Compute: Compute{KeepHistory: 90 * 24 * time.Hour, Accelerator: "auto", CPURatio: 4, MemoryRatio: 1, DiskRatio: 1, ReservedMiB: 512,
			FirstGuestID: 600000, GuestIDs: 20000, DiskMiB: 256, DiskRequests: 10_000},
		Objects: Objects{ReserveMiB: 256, Listen: ":8080"},
		Limits: Limits{Reads: 5000, ReadsBurst: 25000, Writes: 2000, WritesBurst: 10000, MiB: 8192, MiBBurst: 65536,
			Strangers: 500, StrangersBurst: 5000, Open: 1024, Connections: 20000, PerAddress: 2000,
			HeaderTimeout: 20 * time.Second, StallTimeout: time.Minute},
		Quotas: map[string]int{},
	}
}

// Path joins elements to the data directory.
func (c Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.DataDir}, elem...)...)
}

// RunDir is where sockets and locks of this cloud lie: short, since a socket's
// path must fit into 108 bytes, and gone after a reboot.
func (c Config) RunDir() string {
	return filepath.Join(RunRoot(), c.Hash)
}

// RunRoot holds the run directories of all clouds of this user.
func RunRoot() string {
	if os.Geteuid() == 0 || isServiceUser() {
		return "/run/mek"
	}
	return filepath.Join(os.TempDir(), "mek-"+strconv.Itoa(os.Geteuid()))
}

// isServiceUser tells whether this process was started by root's supervisor as
// another user: it then shares root's run directory.
func isServiceUser() bool { return os.Getenv("MEK_RUN_ROOT") == "system" }

// ObjectListen is HOST:PORT of the object store's own port; empty for none.
func (c Config) ObjectListen() string {
	port, alone := strings.CutPrefix(c.Objects.Listen, ":")
	if c.Objects.Listen == "off" || c.Objects.Listen == "" {
		return ""
	}
	if !alone {
		return c.Objects.Listen
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c.Objects.Listen // Validate says so
	}
	return net.JoinHostPort(host, port)
}

// HostHere tells whether this machine is a host of the cloud.
func (c Config) HostHere() bool { return !c.Simulated() && !c.ServerOnly }

// Simulated tells whether hosts are simulated, so that no privilege is needed.
func (c Config) Simulated() bool { return c.Simulate > 0 }

// Joined tells whether this machine is a host of a cloud whose servers are elsewhere.
func (c Config) Joined() bool { return len(c.Join.API) > 0 }

// Scheme is http or https.
func (c Config) Scheme() string {
	if c.InsecureHTTP {
		return "http"
	}
	return "https"
}
