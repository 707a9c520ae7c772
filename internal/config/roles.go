package config

import "path/filepath"

// Server is what "mek server" needs, with every path resolved.
type Server struct {
	Config
	CertFile, KeyFile string // of the front door; empty with InsecureHTTP; reloaded when they change
	CAFile            string // root certificate, for clients
	MasterKeyFile     string // 32 bytes in hexadecimal, 0600; seals everything secret in the database
	BootstrapFile     string // Bootstrap as JSON: first passwords
	Bus               BusFiles
	Northbound        string // unix socket of OVN's northbound database; empty when simulated
	Southbound        string // the same of the southbound, for hosts that joined
	SouthboundKeys    string // folder of the keys by which it tells them apart
	ImageDir          string
	ObjectDir         string
	VolumeDir         string // of drivers that the server itself runs
	PolicyFile        string // may be missing
	LocalSocket       string // unix socket of the operating commands (mek status, mek admin)
	ReadyFile         string // written when the front door answers, removed at start and stop
	ListenFD          int    // descriptor of an already opened listener; 0: open Listen
	ObjectListenFD    int    // the same of the object store's own port
}

// BusFiles are the server's or an agent's ends of the bus: addresses and the
// certificates for mutual TLS.
type BusFiles struct {
	Listen, Streams           string   // HOST:PORT
	Servers                   []string // of an agent: HOST:PORT of every server's bus
	CAFile, CertFile, KeyFile string
}

// Agent is what "mek agent" needs, with every path resolved.
type Agent struct {
	Config
	Bus         BusFiles
	StateDir    string // journal and allocations
	InstanceDir string // a folder per guest
	VolumeDir   string // a folder per volume
	CacheDir    string // base images
	GuestDir    string // vmlinuz and initrd.img of the tiny guest, booted to probe the accelerator; may be missing
	LedgerFile  string // of host changes
	SwitchDB    string // unix socket of the host's Open vSwitch database; empty when simulated
	Southbound  string // unix socket of OVN's southbound database; on a machine that joined it is the agent's
	SwitchDir   string // run directory of the host's Open vSwitch and ovn-controller
	Sockets     string // run directory of guests' sockets
	ReadyFile   string // written when the first report was accepted by the server, removed at start and stop
}

// Bootstrap are the passwords that the first start gives to the first users.
// It is made by "mek up" and readable by the server only.
type Bootstrap struct {
	AdminPassword   string `json:"admin_password"`
	DemoPassword    string `json:"demo_password"`
	ServicePassword string `json:"service_password"`
}

// Server resolves what the server needs.
func (c Config) Server() Server {
	s := Server{
		Config: c, MasterKeyFile: c.Path("secrets", "master.key"), BootstrapFile: c.Path("secrets", "bootstrap.json"),
		CAFile: c.Path("tls", "ca.crt"),
		Bus: BusFiles{Listen: c.Bus.Listen, Streams: c.Bus.Streams, CAFile: c.Path("tls", "bus-ca.crt"),
			CertFile: c.Path("tls", "bus-server.crt"), KeyFile: c.Path("tls", "bus-server.key")},
		ImageDir: c.shared("images"), ObjectDir: c.shared("objects"), VolumeDir: c.shared("volumes"),
		PolicyFile: c.Policy, LocalSocket: filepath.Join(c.RunDir(), "server", "local.sock"), ReadyFile: filepath.Join(c.RunDir(), "server", "ready"),
	}
	if c.Objects.Dir != "" {
		s.ObjectDir = c.Objects.Dir
	}
	if s.PolicyFile == "" {
		s.PolicyFile = c.Path("policy.yaml")
	}
	if !c.InsecureHTTP {
		s.CertFile, s.KeyFile = c.Path("tls", "server.crt"), c.Path("tls", "server.key")
	}
	if !c.Simulated() && !c.ServerOnly {
		s.Northbound = filepath.Join(c.RunDir(), "ovn", "nb.sock")
		s.Southbound = filepath.Join(c.RunDir(), "ovn", "sb.sock")
		s.SouthboundKeys = c.Path("ovn", "keys") // as engines.KeysIn says
	}
	return s
}

// shared is a folder that every server of the cloud sees.
func (c Config) shared(name string) string {
	if c.SharedDir != "" {
		return filepath.Join(c.SharedDir, name)
	}
	return c.Path(name)
}

// Agent resolves what the agent of this host needs.
func (c Config) Agent() Agent {
	a := Agent{
		Config: c,
		Bus: BusFiles{Listen: c.Bus.Listen, Streams: c.Bus.Streams, CAFile: c.Path("tls", "bus-ca.crt"),
			CertFile: c.Path("agent", "agent.crt"), KeyFile: c.Path("agent", "agent.key")},
		StateDir: c.Path("agent"), InstanceDir: c.Path("agent", "instances"), VolumeDir: c.Path("agent", "volumes"),
		CacheDir: c.Path("agent", "cache"), GuestDir: c.Path("guest"), LedgerFile: c.Path("ledger"),
		Sockets: filepath.Join(c.RunDir(), "guests"), ReadyFile: filepath.Join(c.RunDir(), "agent.ready"),
	}
	if !c.Simulated() {
		a.SwitchDir = filepath.Join(c.RunDir(), "host")
		a.SwitchDB = filepath.Join(a.SwitchDir, "db.sock")
		a.Southbound = filepath.Join(c.RunDir(), "ovn", "sb.sock")
	}
	if a.Bus.Servers = c.Servers; len(c.Servers) == 0 {
		a.Bus.Servers = []string{c.Bus.Listen}
	}
	return a
}
