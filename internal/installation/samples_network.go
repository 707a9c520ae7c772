package installation

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/id"
)

const (
	imageDeadline = 2 * time.Minute
	samplePoll    = 100 * time.Millisecond
)

// networks makes the external network as admin, and what a project needs as demo.
func (s *sampler) networks(ctx context.Context) error {
	admin, err := s.service(s.admin, apiclient.Network, "")
	if err != nil || admin == nil {
		return err
	}
	demo, err := s.service(s.demo, apiclient.Network, "")
	if err != nil || demo == nil {
		return err
	}
	public, fresh, err := s.once(ctx, admin, "network", "public", "networks", "networks", url.Values{"router:external": {"true"}},
		map[string]any{"network": map[string]any{"name": "public", "router:external": true, "provider:network_type": "flat",
			"provider:physical_network": s.cfg.Network.PhysicalNet}})
	if err != nil {
		return err
	}
	subnet, err := publicSubnet(public, s.cfg.Network.PublicRange)
	if err != nil {
		return err
	}
	if _, _, err := s.once(ctx, admin, "subnet", "public-subnet", "subnets", "subnets", nil, subnet); err != nil {
		return err
	}
	private, err := s.privateNetwork(ctx, demo)
	if err != nil {
		return err
	}
	if err := s.router(ctx, demo, public, private); err != nil {
		return err
	}
	if err := s.securityGroup(ctx, demo); err != nil {
		return err
	}
	if fresh {
		s.Print.step(markDone, "network", "public %s (translated) · private %s · router1", s.cfg.Network.PublicRange, s.cfg.Network.PrivateRange)
	}
	return nil
}

func (s *sampler) privateNetwork(ctx context.Context, demo *apiclient.Service) (subnet string, err error) {
	network, _, err := s.once(ctx, demo, "network", "private", "networks", "networks", nil,
		map[string]any{"network": map[string]any{"name": "private"}})
	if err != nil {
		return "", err
	}
	subnet, _, err = s.once(ctx, demo, "subnet", "private-subnet", "subnets", "subnets", nil,
		map[string]any{"subnet": map[string]any{"network_id": network, "name": "private-subnet", "ip_version": 4, "cidr": s.cfg.Network.PrivateRange,
			"dns_nameservers": s.cfg.Network.DNSServers}})
	return subnet, err
}

func (s *sampler) router(ctx context.Context, demo *apiclient.Service, public, subnet string) error {
	router, _, err := s.once(ctx, demo, "router", "router1", "routers", "routers", nil,
		map[string]any{"router": map[string]any{"name": "router1", "external_gateway_info": map[string]any{"network_id": public}}})
	if err != nil || s.state.Made["interface router1"] != "" {
		return err
	}
	ports, err := demo.List(ctx, "ports", "ports", url.Values{"device_id": {router}, "device_owner": {"network:router_interface"}})
	if err != nil {
		return err
	}
	if len(ports) == 0 {
		err := demo.Put(ctx, "routers/"+router+"/add_router_interface", map[string]any{"subnet_id": subnet}, nil)
		if err != nil {
			return err
		}
	}
	return s.made("interface router1", router)
}

// securityGroup lets ssh and ping in. The default group stays closed.
func (s *sampler) securityGroup(ctx context.Context, demo *apiclient.Service) error {
	group, _, err := s.once(ctx, demo, "group", "ssh-and-ping", "security-groups", "security_groups", nil,
		map[string]any{"security_group": map[string]any{"name": "ssh-and-ping", "description": "lets ssh and ping in"}})
	if err != nil || s.state.Made["rules ssh-and-ping"] != "" {
		return err
	}
	for _, rule := range []map[string]any{
		{"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"protocol": "icmp"},
	} {
		rule["security_group_id"], rule["direction"], rule["ethertype"] = group, "ingress", "IPv4"
		if err := demo.Post(ctx, "security-group-rules", map[string]any{"security_group_rule": rule}, nil); err != nil && !apiclient.IsConflict(err) {
			return err
		}
	}
	return s.made("rules ssh-and-ping", group)
}

// keypair makes a key pair whose private half never leaves this machine.
func (s *sampler) keypair(ctx context.Context) error {
	if s.state.Made["keypair demo"] != "" {
		return nil
	}
	svc, err := s.service(s.demo, apiclient.Compute, "")
	if err != nil || svc == nil {
		return err
	}
	file, public, err := s.ensureKey()
	if err != nil {
		return err
	}
	if err := svc.Delete(ctx, "os-keypairs/demo"); err != nil { // of a try whose key file was lost
		return err
	}
	if err := svc.Post(ctx, "os-keypairs", map[string]any{"keypair": map[string]any{"name": "demo", "public_key": public}}, nil); err != nil {
		return err
	}
	s.Print.step(markDone, "key pair", "demo, private key in %s", file)
	return s.made("keypair demo", "demo")
}

// ensureKey makes the private key in the person's ssh folder, and a copy in the
// data directory, since "mek ssh" may be run by another.
func (s *sampler) ensureKey() (file, public string, err error) {
	own := s.cfg.Path("demo.key")
	text, err := os.ReadFile(own)
	if errors.Is(err, os.ErrNotExist) {
		private := ed25519.NewKeyFromSeed(id.Bytes(ed25519.SeedSize))
		block, err := ssh.MarshalPrivateKey(private, "mek demo")
		if err != nil {
			return "", "", fmt.Errorf("make key: %w", err)
		}
		text = pem.EncodeToMemory(block)
		if err := os.WriteFile(own, text, 0o600); err != nil {
			return "", "", fmt.Errorf("write key: %w", err)
		}
	} else if err != nil {
		return "", "", fmt.Errorf("read key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return "", "", fmt.Errorf("key %s: %w", own, err)
	}
	if file, err = s.placeKey(text); err != nil {
		return "", "", err
	}
	return file, string(ssh.MarshalAuthorizedKey(signer.PublicKey())), nil
}

func (s *sampler) placeKey(text []byte) (string, error) {
	p := s.thePerson()
	file := filepath.Join(p.home, ".ssh", "mek-demo")
	if b, err := os.ReadFile(file); err == nil && string(b) != string(text) {
		file += "-" + s.cfg.Hash[:4] // another cloud's, or another person's
	}
	if err := s.rememberFile(file, map[string]string{"key": "demo"}); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("ssh folder: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("write key: %w", err)
	}
	if p.uid >= 0 {
		if err := errors.Join(os.Chown(file, p.uid, p.gid), os.Chown(filepath.Dir(file), p.uid, p.gid)); err != nil {
			return "", fmt.Errorf("owner of the key: %w", err)
		}
	}
	s.state.Key = file
	return file, s.state.save()
}
