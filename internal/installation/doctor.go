package installation

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/installation/preflight"
	"github.com/mekcloud/mek/internal/ledger"
	"github.com/mekcloud/mek/internal/ledger/host"
	"github.com/mekcloud/mek/internal/pki"
)

// Finding is something that is not as it must be. Codes are stable.
type Finding = check.Finding

func finding(code, subject, evidence, remedy string) Finding {
	return Finding{Code: code, Subject: subject, Evidence: evidence, Remedy: remedy}
}

// Report is what "mek doctor --json" prints.
type Report struct {
	Checks   []preflight.Result `json:"checks,omitempty"`
	Findings []Finding          `json:"findings"`
	Examined []string           `json:"examined"`
}

// Doctor checks host and cloud and changes nothing. With before, only the
// host is looked at, as "up" would.
func (i *Installation) Doctor(ctx context.Context, before bool) error {
	r := Report{Findings: []Finding{}}
	r.Checks, _ = preflight.Run(ctx, preflight.Want{Config: i.cfg, Running: i.exists() && i.ours(), Fixed: i.exists(), Host: i.cfg.Joined()})
	if !before && i.exists() {
		for _, examine := range i.examinations() {
			found, err := examine.run(ctx)
			if err != nil {
				found = append(found, finding("doctor/"+examine.name, examine.name, apiclient.Reason(err), "Look at it:  mek status"))
			}
			r.Findings, r.Examined = append(r.Findings, found...), append(r.Examined, examine.name)
		}
		if !i.cfg.Joined() {
			i.examineInvariants(ctx, &r)
		}
	}
	return i.report(r)
}

type examination struct {
	name string
	run  func(context.Context) ([]Finding, error)
}

// examinations are what can be looked at from this machine. One that joined has
// no credentials of the cloud: what concerns the API is examined at the server.
func (i *Installation) examinations() []examination {
	own := []examination{{"processes", i.examineProcesses}, {"ledger", i.examineLedger}, {"certificates", i.examineCertificates}}
	if i.cfg.Joined() {
		return own
	}
	return append(own, examination{"guests", i.examineGuests}, examination{"links", i.examineLinks})
}

func (i *Installation) report(r Report) error {
	if i.Print.JSON {
		if err := i.Print.object(r); err != nil {
			return err
		}
	} else {
		i.showChecks(r.Checks)
		for _, name := range r.Examined {
			i.Print.step(markDone, name, "examined")
		}
		for _, f := range r.Findings {
			i.Print.step(markFailed, f.Code, "%s: %s → %s", f.Subject, f.Evidence, f.Remedy)
		}
	}
	switch {
	case len(r.Findings) > 0:
		return &Failure{Code: ExitDegraded, What: fmt.Sprintf("%d findings", len(r.Findings))}
	case preflight.Worst(r.Checks) == preflight.Blocked:
		return &Failure{Code: ExitDegraded, What: "the machine is not ready for a cloud"}
	}
	return nil
}

func (i *Installation) examineProcesses(ctx context.Context) ([]Finding, error) {
	st, err := i.Look(ctx)
	var out []Finding
	for _, p := range st.Problems {
		out = append(out, finding("process/down", i.cfg.DataDir, p, "mek up --data-dir "+i.cfg.DataDir))
	}
	return out, err
}

// examineLedger looks for changes that somebody else took back. Some come and
// go with guests and folders; only what the cloud needs now is reported.
func (i *Installation) examineLedger(ctx context.Context) ([]Finding, error) {
	led, err := i.ledger()
	if err != nil {
		return nil, err
	}
	missing, err := led.Missing(ctx, host.Host{})
	var out []Finding
	for _, c := range missing {
		if c.Kind == ledger.Link && isTap(c.Name, i.cfg.Hash) || c.Kind == ledger.Cgroup || c.Kind == ledger.Dir || c.Kind == ledger.File {
			continue
		}
		out = append(out, finding("ledger/missing", fmt.Sprintf("%s %s", c.Kind, c.Name), "recorded as made, not on the host", "mek up --data-dir "+i.cfg.DataDir))
	}
	return out, err
}

func (i *Installation) examineCertificates(context.Context) ([]Finding, error) {
	server, agent := i.cfg.Server(), i.cfg.Agent()
	files := []string{agent.Bus.CertFile}
	if !i.cfg.Joined() {
		files = append(files, server.CAFile, server.Bus.CertFile)
		if server.CertFile != "" {
			files = append(files, server.CertFile)
		}
	}
	var out []Finding
	for _, file := range files {
		until, err := pki.Expires(file)
		if err != nil {
			return out, err
		}
		if left := until.Sub(i.Clock.Now()); left < time.Hour {
			out = append(out, finding("certificate/expiring", file, "valid until "+until.Format(time.RFC3339), "mek up --data-dir "+i.cfg.DataDir))
		}
	}
	return out, nil
}

// examineInvariants has the server evaluate every invariant that it can.
func (i *Installation) examineInvariants(ctx context.Context, r *Report) {
	var answer check.Report
	c, err := i.client(ctx, "admin")
	if err == nil {
		err = c.Own(ctx, "/checks", &answer)
	}
	if err != nil {
		answer.Findings = append(answer.Findings, finding("doctor/invariants", "invariants", apiclient.Reason(err), "Look at it:  mek status"))
	}
	r.Findings, r.Examined = append(r.Findings, answer.Findings...), append(r.Examined, answer.Examined...)
}

// examineGuests compares processes on this host with servers in the API (I-01),
// and looks for servers that are stuck in between (I-12).
func (i *Installation) examineGuests(ctx context.Context) ([]Finding, error) {
	c, err := i.client(ctx, "admin")
	if err != nil {
		return nil, err
	}
	compute, err := c.Service(apiclient.Compute, "")
	if apiclient.IsNotServed(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	servers, err := compute.List(ctx, "servers/detail", "servers", url.Values{"all_tenants": {"1"}, "limit": {"1000"}})
	if err != nil {
		return nil, err
	}
	running, err := i.guestProcesses()
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, s := range servers {
		id := s.Text("id")
		if i.cfg.HostHere() && s.Text("OS-EXT-SRV-ATTR:host") == i.cfg.HostName && len(running[id]) == 0 && s.Text("status") == "ACTIVE" {
			out = append(out, finding("I-01/missing-guest", "server "+id, "ACTIVE in the API, no process on this host", "openstack server reboot --hard "+id))
		}
		if age := i.age(s.Text("updated")); inBetween(s.Text("status")) && age > stuckAfter {
			out = append(out, finding("I-12/stuck", "server "+id, s.Text("status")+" for "+age.Round(time.Second).String(), "mek admin tasks"))
		}
		delete(running, id)
	}
	for id, pids := range running {
		if len(pids) > 0 {
			out = append(out, finding("I-01/ghost-guest", "server "+id, fmt.Sprintf("process %d on this host, no row in the API", pids[0]), "wait for the reconciler, then: mek admin hosts"))
		}
	}
	return out, nil
}

const stuckAfter = 10 * time.Minute

func inBetween(status string) bool {
	return strings.Contains(" BUILD REBOOT HARD_REBOOT RESIZE MIGRATING REBUILD ", " "+status+" ")
}

func (i *Installation) age(stamp string) time.Duration {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return 0
	}
	return i.Clock.Now().Sub(at)
}

// examineLinks compares taps of this cloud with ports in the API (I-03).
func (i *Installation) examineLinks(ctx context.Context) ([]Finding, error) {
	if !i.cfg.HostHere() {
		return nil, nil
	}
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	c, err := i.client(ctx, "admin")
	if err != nil {
		return nil, err
	}
	network, err := c.Service(apiclient.Network, "")
	if apiclient.IsNotServed(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ports, err := network.List(ctx, "ports", "ports", nil)
	if err != nil {
		return nil, err
	}
	return strayTaps(links, ports, linkPrefix(i.cfg.Hash)), nil
}

// linkPrefix begins the names of a cloud's links.
func linkPrefix(hash string) string { return "mk" + hash[:min(4, len(hash))] }

// isTap tells the links of guests, which come and go, from the cloud's own.
func isTap(link, hash string) bool {
	_, yes := tapOf(link, linkPrefix(hash))
	return yes
}

// tapOf is the beginning of a port's id in the name of its tap.
func tapOf(link, prefix string) (id string, yes bool) {
	rest, ours := strings.CutPrefix(link, prefix)
	return rest, ours && len(rest) == 9 && strings.Trim(rest, "0123456789abcdef") == ""
}

// strayTaps are links of this cloud that stand for no port. Bridges have names
// of their own that are no beginning of a UUID.
func strayTaps(links []net.Interface, ports []apiclient.Object, prefix string) []Finding {
	var out []Finding
next:
	for _, l := range links {
		rest, ours := tapOf(l.Name, prefix)
		if !ours {
			continue
		}
		for _, p := range ports {
			if strings.HasPrefix(strings.ReplaceAll(p.Text("id"), "-", ""), rest) {
				continue next
			}
		}
		out = append(out, finding("I-03/ghost-tap", "link "+l.Name, "on this host, no port in the API", "wait for the reconciler; it is removed when nothing claims it"))
	}
	return out
}
