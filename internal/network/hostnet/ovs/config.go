package ovs

import (
	"log/slog"
	"net/netip"
	"strconv"

	"github.com/mekcloud/mek/internal/network/hostnet"
)

// Config is what the driver must know of its host and cloud.
type Config struct {
	Hash     string // of the cloud, hexadecimal, 4 characters at least
	Endpoint string // of the switch's database, "unix:/run/…/db.sock"
	Run      string // directory of the switch's sockets

	Chassis    string     // the host's name in OVN
	Southbound string     // endpoint for ovn-controller
	Encap      netip.Addr // the host's address for tunnels
	Userspace  bool       // no datapath in the kernel

	// External is the host's own address with the range of the external
	// network, for example 172.24.4.1/24; invalid: this host is no uplink.
	External   netip.Prefix
	Physical   string // name of the physical network, "public"
	Masquerade bool   // lead guests further out through the host's own address

	// MetadataRange holds the addresses that stand for ports, /24 or larger,
	// from 100.64.0.0/10, not shared with another cloud of this machine. The
	// last but one address is the listener's.
	MetadataRange netip.Prefix
	MetadataPort  int // of the listener

	// What a guest may send by a port unless its flavor says otherwise, each
	// second; 0: any.
	Frames, Bytes int64

	Ledger hostnet.Ledger
	Log    *slog.Logger
}

// prefix begins every name of this cloud on the host.
func (c Config) prefix() string { return "mk" + c.Hash[:4] }

// group is of links that are about to be removed: this cloud's alone.
func (c Config) group() uint32 {
	n, err := strconv.ParseUint(c.Hash[:4], 16, 16)
	if err != nil {
		n = 0 // a hash is hexadecimal
	}
	return 0x6d6b0000 | uint32(n)
}

// Integration is the name of the bridge that guests' taps are in.
func (c Config) Integration() string { return c.prefix() + "int" }

// ExternalBridge is the name of the bridge, and of the host's link, that leads outside.
func (c Config) ExternalBridge() string { return c.prefix() + "ex" }

// MetadataBridge is the name of the bridge, and of the host's link, that metadata goes through.
func (c Config) MetadataBridge() string { return c.prefix() + "meta" }

// MetadataListen is where the metadata listener must listen.
func (c Config) MetadataListen() netip.AddrPort {
	return netip.AddrPortFrom(previous(c.MetadataRange, 2), uint16(c.MetadataPort))
}

// metadataHop is the next hop towards guests; nobody has it.
func (c Config) metadataHop() netip.Addr { return previous(c.MetadataRange, 1) }

// previous counts back from the broadcast address of an IPv4 range.
func previous(p netip.Prefix, n uint32) netip.Addr {
	b := p.Masked().Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += 1<<(32-p.Bits()) - 1 - n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func (c Config) datapath() string {
	if c.Userspace {
		return "netdev"
	}
	return "system"
}
