package installation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/packages"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/installation/preflight"
	"github.com/mekcloud/mek/internal/joining"
	"github.com/mekcloud/mek/internal/ledger"
	"github.com/mekcloud/mek/internal/pki"
)

// JoinOptions are what only "mek agent join" is told.
type JoinOptions struct {
	Token     string
	Name      string // of this host in the cloud; empty: the machine's
	Address   string // of this machine for tunnels; empty: the one by which it reaches the server
	NoInstall bool
}

// Join makes this machine a host of the cloud that made the token. On a machine
// that is one already it repairs and starts what a host runs.
func (i *Installation) Join(ctx context.Context, o JoinOptions) error {
	t, err := joining.ParseToken(o.Token)
	if err != nil {
		return &Failure{Code: ExitUsage, What: "token", Why: err, Do: "Make one where the server runs:  mek agent token"}
	}
	if os.Geteuid() != 0 {
		return &Failure{Code: ExitUsage, What: "a host needs root: it runs guests and their network", Do: "Try again with sudo."}
	}
	if i.exists() && !i.cfg.Joined() {
		return &Failure{Code: ExitUsage, What: "there is a cloud of its own in " + i.cfg.DataDir, Do: "Join with another folder:  mek agent join --data-dir DIR TOKEN"}
	}
	if o.Name != "" {
		i.cfg.HostName = o.Name
	}
	if i.cfg.Address == "" || o.Address != "" {
		if i.cfg.Address, err = i.addressTowards(t, o.Address); err != nil {
			return err
		}
	}
	i.cfg.Join.API = t.API // until the answer says more: the checks differ for a host
	return i.asHost(ctx, o.NoInstall, func(led *ledger.Ledger) error { return i.enrol(ctx, led, t) })
}

// addressTowards is this machine's address on the way to the server.
func (i *Installation) addressTowards(t joining.Token, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	u, err := url.Parse(t.API[0])
	if err != nil {
		return "", &Failure{Code: ExitUsage, What: "token", Why: err}
	}
	address, err := ownAddress(u.Host)
	if err != nil {
		return "", &Failure{What: "there is no way to the server at " + u.Host, Why: err, Do: "Name this machine's address:  mek agent join --address ADDRESS TOKEN"}
	}
	return address, nil
}

// ownAddress is the address from which packets to a place would go. None is sent.
func ownAddress(hostPort string) (string, error) {
	conn, err := net.DialTimeout("udp", hostPort, 5*time.Second)
	if err != nil {
		return "", fmt.Errorf("route: %w", err)
	}
	defer conn.Close()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return "", fmt.Errorf("route: %w", err)
	}
	return host, nil
}

// asHost does on a machine that joins or joined what Up does where a server
// runs. enrol makes it belong to the cloud if it does not.
func (i *Installation) asHost(ctx context.Context, noInstall bool, enrol func(*ledger.Ledger) error) error {
	begun := i.Clock.Now()
	i.Print.line("\n  mek %s · host %s · %d CPU\n\n  Checks", i.Version, i.cfg.HostName, runtime.NumCPU())
	if missing := packages.Missing(); noInstall && len(missing) > 0 {
		return missingPackages(missing)
	}
	results, choices := preflight.Run(ctx, preflight.Want{Config: i.cfg, Running: true, Fixed: i.exists(), Host: true})
	i.showChecks(results)
	if preflight.Worst(results) == preflight.Blocked {
		return &Failure{Code: ExitBlocked, What: "the machine is not ready to be a host", Do: "Change what is marked " + markFailed + " above, then join again."}
	}
	led, err := i.makeDataDir()
	if err != nil {
		return err
	}
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := i.install(ctx, led); err != nil {
		return err
	}
	i.Print.line("\n  Starting")
	if err := i.prepareHost(ctx, led, choices, enrol); err != nil {
		return err
	}
	if err := i.start(ctx, led); err != nil {
		return err
	}
	took := i.Clock.Now().Sub(begun).Round(100 * time.Millisecond)
	i.Print.line("\n  Ready in %s", took)
	if i.Print.JSON {
		return i.Print.object(map[string]any{"ready": true, "seconds": took.Seconds(), "host": i.cfg.HostName, "api": i.cfg.Join.API})
	}
	i.Print.line("\n  Host        %s, %s\n  Cloud       %s\n", i.cfg.HostName, i.cfg.Address, i.cfg.Join.API[0])
	return nil
}

func (i *Installation) prepareHost(ctx context.Context, led *ledger.Ledger, choices preflight.Choices, enrol func(*ledger.Ledger) error) error {
	if made, err := ensureUser(ctx, led); err != nil {
		return err
	} else if made {
		i.Print.step(markDone, "user", "%s, for what needs no privilege", plan.ServiceUser)
	}
	if err := i.register(led); err != nil {
		return err
	}
	if err := i.makeFolders(led); err != nil {
		return err
	}
	if err := enrol(led); err != nil {
		return err
	}
	remember := map[string]any{"hash": i.cfg.Hash}
	maps.Copy(remember, config.Environment(i.Env))
	maps.Copy(remember, i.Flags)
	maps.Copy(remember, choices)
	if err := i.remember(remember); err != nil {
		return err
	}
	if _, err := i.Certificates(); err != nil {
		i.Print.step(markLimited, "certificate", "%v", err) // the supervisor goes on trying
	}
	if err := i.installGuest(); err != nil {
		return err
	}
	return i.installProgram()
}

// remember writes settings and loads them.
func (i *Installation) remember(settings map[string]any) error {
	if err := config.Remember(i.cfg.DataDir, settings); err != nil {
		return err
	}
	cfg, err := config.Load(i.cfg.DataDir, i.Env, nil)
	if err != nil {
		return &Failure{Code: ExitUsage, What: "configuration", Why: err, Look: i.cfg.Path(config.SettingsFile)}
	}
	i.cfg = cfg
	return nil
}

// enrol proves the token and keeps what the server answers. A machine that
// belongs to the cloud already needs no token.
func (i *Installation) enrol(ctx context.Context, _ *ledger.Ledger, t joining.Token) error {
	a := i.cfg.Agent()
	if root, err := os.ReadFile(a.Bus.CAFile); err == nil && i.exists() {
		if have, err := pki.Fingerprint(root); err != nil || have != t.Fingerprint {
			return &Failure{Code: ExitUsage, What: "this machine belongs to another cloud", Do: "Leave that one first:  mek uninstall --purge"}
		}
		if i.belongs(ctx, root) {
			i.Print.step(markDone, "membership", "%s belongs to the cloud already", i.cfg.HostName)
			return nil
		}
		if err := os.Remove(a.Bus.KeyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("key of this host: %w", err)
		}
	}
	csr, err := pki.HostRequest(a.Bus.KeyFile)
	if err != nil {
		return err
	}
	answer, err := joining.AskToJoin(ctx, t, i.cfg.HostName, csr)
	if err != nil {
		return &Failure{What: "the cloud does not let this machine in", Why: err, Do: "Make a new token where the server runs:  mek agent token"}
	}
	if err := pki.StoreRoot(a.Bus.CAFile, answer.Root); err != nil {
		return err
	}
	if err := pki.StoreHost(a.Bus.CertFile, a.Bus.KeyFile, answer.Chain, answer.Root, answer.Host); err != nil {
		return err
	}
	if len(answer.Settings.Servers) == 0 || len(answer.Settings.Streams) == 0 {
		return &Failure{What: "the cloud names no server to connect to"}
	}
	s := answer.Settings
	err = i.remember(map[string]any{"hash": i.cfg.Hash, "host_name": answer.Host, "address": i.cfg.Address, "network.tunnel_address": i.cfg.Address,
		"servers": s.Servers, "bus.listen": s.Servers[0], "bus.streams": s.Streams[0], "join.api": s.API, "region": s.Region,
		"network.public_range": s.PublicRange, "network.physical_network": s.Physical, "network.dns_domain": s.DNSDomain})
	if err == nil {
		i.Print.step(markDone, "membership", "%s joined; the server is %s", answer.Host, s.Servers[0])
	}
	return err
}

// apis are where a host that joined reaches its servers: those of its settings,
// and those that were added since.
func (i *Installation) apis() []string {
	all := slices.Clone(i.cfg.Join.API)
	for _, d := range joining.Known(i.cfg.Path("agent", joining.KnownFile)) {
		if d.API != "" && !slices.Contains(all, d.API) {
			all = append(all, d.API)
		}
	}
	return all
}

// belongs tells whether the cloud still knows this machine. One that does not
// answer now is believed to.
func (i *Installation) belongs(ctx context.Context, root []byte) bool {
	a := i.cfg.Agent()
	csr, err := pki.HostRequest(a.Bus.KeyFile)
	if err != nil {
		return false
	}
	answer, err := joining.AskToRenew(ctx, i.apis(), root, csr)
	if refused := (joining.Refusal{}); errors.As(err, &refused) {
		return false
	}
	if err == nil {
		err = pki.StoreHost(a.Bus.CertFile, a.Bus.KeyFile, answer.Chain, root, i.cfg.HostName)
	}
	if err != nil {
		i.Print.step(markLimited, "certificate", "%v", err) // the supervisor goes on trying
	}
	return true
}

// renewHost gets a new certificate for a host that joined when the old one is
// past half its life. A server that is away is asked again later.
func (i *Installation) renewHost() (changed bool, err error) {
	a := i.cfg.Agent()
	if !pki.Worn(a.Bus.CertFile, i.Clock) {
		return false, nil
	}
	root, err := os.ReadFile(a.Bus.CAFile)
	if err != nil {
		return false, fmt.Errorf("root certificate: %w", err)
	}
	csr, err := pki.HostRequest(a.Bus.KeyFile)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := joining.AskToRenew(ctx, i.apis(), root, csr)
	if err != nil {
		return false, fmt.Errorf("the certificate is not renewed: %w", err)
	}
	return true, pki.StoreHost(a.Bus.CertFile, a.Bus.KeyFile, answer.Chain, root, i.cfg.HostName)
}

// upHost starts or repairs a machine that joined.
func (i *Installation) upHost(ctx context.Context, o UpOptions) error {
	return i.asHost(ctx, o.NoInstall, func(*ledger.Ledger) error { return nil })
}

// hostReady tells whether this host's agent is linked to a server.
func (i *Installation) hostReady(ctx context.Context) error {
	if err := plan.AgentReady(i.cfg)(ctx); err != nil {
		return err
	}
	if pki.Worn(i.cfg.Agent().Bus.CertFile, i.Clock) {
		if end, err := pki.Expires(i.cfg.Agent().Bus.CertFile); err != nil || end.Before(i.Clock.Now()) {
			return errors.Join(errors.New("this host's certificate has expired"), err)
		}
	}
	return nil
}

func missingPackages(missing []string) error {
	names := ""
	for _, m := range missing {
		names += " " + m
	}
	return &Failure{Code: ExitBlocked, What: "packages are missing:" + names, Do: "Install them:  apt-get install --no-install-recommends" + names}
}

// southboundDir is where a host that joined has the socket that leads to OVN.
func southboundDir(c config.Config) string { return filepath.Dir(c.Agent().Southbound) }
