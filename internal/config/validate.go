package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var validHash = regexp.MustCompile(`^[0-9a-f]{8}$`)

// Validate checks everything and names every mistake at once.
func (c Config) Validate() error {
	var bad []error
	check := func(key string, err error) {
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", key, err))
		}
	}
	if !validHash.MatchString(c.Hash) {
		check("hash", fmt.Errorf("%q is not eight hexadecimal digits", c.Hash))
	}
	check("listen", hostPort(c.Listen))
	check("bus.listen", hostPort(c.Bus.Listen))
	check("bus.streams", hostPort(c.Bus.Streams))
	for _, address := range c.Servers {
		check("servers", dialable(address))
	}
	check("insecure_http", c.loopbackOnly(c.Listen))
	check("network.public_range", prefix(c.Network.PublicRange))
	check("network.private_range", prefix(c.Network.PrivateRange))
	check("network.metadata_range", prefix(c.Network.MetadataRange))
	check("log_level", oneOf(c.LogLevel, "debug", "info", "warn", "error"))
	check("compute.accelerator", oneOf(c.Compute.Accelerator, "auto", "kvm", "tcg"))
	check("identity.password_hash", oneOf(c.Identity.PasswordHash, "argon2id", "bcrypt"))
	check("identity.federation", c.Identity.Federation.check(c.PublicURL))
	check("database", database(c.Database))
	check("public_url", publicURL(c.PublicURL))
	if c.Simulate < 0 || c.Simulate > 100000 {
		check("simulate", fmt.Errorf("%d is not between 0 and 100000", c.Simulate))
	}
	if c.ServerOnly && strings.HasPrefix(c.Database, "sqlite:") {
		check("server_only", errors.New("servers share a database: set database to postgres://…"))
	}
	if c.Region == "" || c.HostName == "" {
		check("region, host_name", errors.New("must not be empty"))
	}
	if c.Identity.TokenLifetime <= 0 {
		check("identity.token_lifetime", errors.New("must be positive"))
	}
	if c.Compute.ConfirmAfter < 0 || c.Compute.KeepHistory < 0 {
		check("compute.resize_confirm_window, history_retention", errors.New("must not be negative"))
	}
	check("compute.disk_mib_sec, disk_iops_sec, network.port_frames_sec, port_mib_sec",
		positive(c.Compute.DiskMiB, c.Compute.DiskRequests, c.Network.PortFrames, c.Network.PortMiB))
	if c.SharedDir != "" && !filepath.IsAbs(c.SharedDir) {
		check("shared_dir", fmt.Errorf("%q is not absolute", c.SharedDir))
	}
	check("ship_to", c.shippable())
	if c.Objects.Dir != "" && !filepath.IsAbs(c.Objects.Dir) {
		check("objectstore.dir", fmt.Errorf("%q is not absolute", c.Objects.Dir))
	}
	if l := c.ObjectListen(); l != "" {
		check("objectstore.listen", hostPort(l))
		check("insecure_http", c.loopbackOnly(l))
	}
	if _, err := netip.ParseAddr(c.Address); err != nil && c.Address != "" {
		check("address", fmt.Errorf("%q is not an address", c.Address))
	}
	for _, u := range c.Join.API {
		check("join.api", publicURL(u))
	}
	if c.Joined() && c.Simulated() {
		check("join", errors.New("simulated hosts join no cloud"))
	}
	check("objectstore.reserve_mib", positive(c.Objects.ReserveMiB))
	check("limits", c.Limits.validate())
	_, err := regexp.Compile(c.Identity.PasswordRegex)
	check("identity.password_regex", err)
	return errors.Join(bad...)
}

// shippable says whether the database's log can be shipped where it shall.
func (c Config) shippable() error {
	switch {
	case c.ShipTo == "":
		return nil
	case !filepath.IsAbs(c.ShipTo):
		return fmt.Errorf("%q is not absolute", c.ShipTo)
	case !strings.HasPrefix(c.Database, "sqlite://"):
		return errors.New("PostgreSQL archives its log itself: archive_command")
	case strings.HasPrefix(filepath.Clean(c.ShipTo)+"/", filepath.Dir(strings.TrimPrefix(c.Database, "sqlite://"))+"/"):
		return errors.New("must not be with the database, to be lost with it")
	}
	return nil
}

// positive is for limits that may be left out.
func positive(limits ...int) error {
	if slices.Min(limits) < 0 {
		return errors.New("must not be negative; 0 is no limit")
	}
	return nil
}

func (l Limits) validate() error {
	for _, n := range []float64{l.Reads, l.ReadsBurst, l.Writes, l.WritesBurst, l.MiB, l.MiBBurst, l.Strangers, l.StrangersBurst, float64(l.Alone), float64(l.Share)} {
		if n < 0 || n != n {
			return errors.New("must not be negative; 0 is no limit")
		}
	}
	if l.HeaderTimeout <= 0 || l.StallTimeout <= 0 {
		return errors.New("header_timeout and stall_timeout must be positive")
	}
	if l.Open < 1 || l.Connections < 1 || l.PerAddress < 1 {
		return errors.New("open, connections and connections_per_address must be at least 1")
	}
	return nil
}

func (c Config) loopbackOnly(listen string) error {
	if !c.InsecureHTTP {
		return nil
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil // reported beside
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("plain HTTP is for loopback only, but listen is %s; use --listen 127.0.0.1:PORT", listen)
}

func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q has no valid port", s)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return fmt.Errorf("%q: the host must be an address or localhost", s)
	}
	return nil
}

// dialable is an address to connect to: HOST may be a name.
func dialable(s string) error {
	host, port, err := net.SplitHostPort(s)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	return nil
}

func prefix(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Masked() != p {
		return fmt.Errorf("%q is not a range such as 172.24.4.0/24", s)
	}
	return nil
}

func oneOf(s string, allowed ...string) error {
	for _, a := range allowed {
		if s == a {
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", s, strings.Join(allowed, ", "))
}

func database(s string) error {
	for _, scheme := range []string{"sqlite:///", "postgres://", "postgresql://"} {
		if strings.HasPrefix(s, scheme) {
			return nil
		}
	}
	return errors.New("must begin with sqlite:/// or postgres://") // without the value: it may hold a password
}

func publicURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("%q is not of the form https://name:port", s)
	}
	return nil
}
