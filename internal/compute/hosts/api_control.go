package hosts

import (
	"math"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/rest"
)

// The programs that clients of this API look for.
const (
	binaryCompute   = "nova-compute"
	binaryConductor = "nova-conductor"
	binaryScheduler = "nova-scheduler"
)

// internalZone is the zone of what carries no servers.
const internalZone = "internal"

// unit is one program as the API lists them. The server is conductor and
// scheduler in one: whoever gets an answer reads that both are up.
type unit struct {
	*Host
	binary string
}

func (u unit) topic() string { return u.binary[len("nova-"):] }

// control lists what the server itself is. Numbers of the oldest versions are
// counted from the far end, where no host's will ever be.
func (s *Hosts) control() []unit {
	var out []unit
	for i, binary := range []string{binaryConductor, binaryScheduler} {
		out = append(out, unit{&Host{ServiceID: id.Named("compute service " + binary + " of " + s.server), Serial: int64(math.MaxInt32 - i),
			Name: s.server, Zone: internalZone, Up: true, SeenAt: clock.Micros(s.clock.Now())}, binary})
	}
	return out
}

// units lists the server's programs and then those of hosts.
func (a api) units(c *rest.Call) ([]unit, error) {
	list, err := a.hosts.List(c.Context())
	if err != nil {
		return nil, err
	}
	out := a.hosts.control()
	for _, h := range list {
		out = append(out, unit{h, binaryCompute})
	}
	return out, nil
}

// controls tells whether a name and a binary are the server's own.
func (s *Hosts) controls(binary, host string) bool {
	return host == s.server && (binary == binaryConductor || binary == binaryScheduler)
}

func inseparable(binary string) error {
	return fault.New(fault.NotImplemented, "%s is part of the server and cannot be switched off.", binary)
}
