package installation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
)

// samples remembers what was made, so that what a person deletes stays deleted.
type samples struct {
	Made map[string]string `json:"made"` // kind and name → id
	Key  string            `json:"key"`  // file of the private key
	path string
}

func (i *Installation) loadSamples() (*samples, error) {
	s := &samples{Made: map[string]string{}, path: i.cfg.Path("samples.json")}
	b, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	if s.Made == nil {
		s.Made = map[string]string{}
	}
	return s, nil
}

func (s *samples) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	if err := os.WriteFile(s.path+".new", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	return os.Rename(s.path+".new", s.path)
}

// sampler makes the samples, by the public API and nothing else.
type sampler struct {
	*Installation
	state       *samples
	admin, demo *apiclient.Client
	unserved    map[string]bool // services that this cloud does not offer
}

// client logs in with an entry of our own clouds.yaml.
func (i *Installation) client(ctx context.Context, cloud string) (*apiclient.Client, error) {
	entries, err := cloudsyaml.Read(i.ownClouds())
	if err != nil {
		return nil, err
	}
	e, ok := entries[cloud]
	if !ok {
		return nil, &Failure{Code: ExitUsage, What: "there is no cloud " + cloud, Do: "Use admin or demo."}
	}
	return apiclient.New(ctx, apiclient.Options{AuthURL: e.Auth.AuthURL + "/", CAFile: e.CACert, User: e.Auth.Username, Password: e.Auth.Password,
		Project: e.Auth.ProjectName, Domain: e.Auth.UserDomainName, Region: e.RegionName})
}

// makeSamples makes what is not made yet. Passwords that were changed since
// are no error: whoever changes them has no need of samples.
func (i *Installation) makeSamples(ctx context.Context) error {
	state, err := i.loadSamples()
	if err != nil {
		return err
	}
	s := &sampler{Installation: i, state: state, unserved: map[string]bool{}}
	if s.complete() {
		return nil
	}
	for cloud, at := range map[string]**apiclient.Client{"admin": &s.admin, "demo": &s.demo} {
		*at, err = i.client(ctx, cloud)
		if apiclient.IsUnauthorized(err) {
			i.Print.step(markLimited, "samples", "the password of %s was changed: nothing is added", cloud)
			return nil
		}
		if err != nil {
			return err
		}
	}
	for _, part := range s.parts() {
		if err := part.make(ctx); err != nil {
			return &Failure{What: part.name, Why: errors.New(apiclient.Reason(err)), Do: "Run mek up again once the cause is gone; --bare makes no samples.",
				Look: i.cfg.Path("log", "server.log")}
		}
	}
	return nil
}

type part struct {
	name string
	keys []string // of what it makes
	make func(context.Context) error
}

func (s *sampler) parts() []part {
	list := []part{
		{"flavors", []string{"flavor m1.tiny", "flavor m1.small", "flavor m1.medium", "flavor m1.large", "flavor m1.xlarge"}, s.flavors},
		{"image", []string{"image tiny"}, s.image},
		{"network", []string{"network public", "subnet public-subnet", "network private", "subnet private-subnet", "router router1",
			"interface router1", "group ssh-and-ping", "rules ssh-and-ping"}, s.networks},
		{"key pair", []string{"keypair demo"}, s.keypair},
	}
	return list
}

func (s *sampler) complete() bool {
	for _, p := range s.parts() {
		for _, key := range p.keys {
			if s.state.Made[key] == "" {
				return false
			}
		}
	}
	return true
}

// once makes one thing unless it was made before, or is there under its name,
// as after a crash between making and remembering. Deleted things stay so.
func (s *sampler) once(ctx context.Context, svc *apiclient.Service, kind, name, path, many string, filter url.Values, body any) (id string, fresh bool, err error) {
	key := kind + " " + name
	if id = s.state.Made[key]; id != "" {
		return id, false, nil
	}
	found, there, err := svc.Find(ctx, path, many, name, filter)
	if err != nil {
		return "", false, err
	}
	if !there {
		var out map[string]any
		if err := svc.Post(ctx, path, body, &out); err != nil {
			return "", false, err
		}
		found = apiclient.Object(out)
		for _, one := range []string{kind, "security_group"} {
			if inner := found.Inner(one); inner != nil {
				found = inner
			}
		}
	}
	return found.Text("id"), !there, s.made(key, found.Text("id"))
}

func (s *sampler) made(key, id string) error {
	s.state.Made[key] = id
	return s.state.save()
}

// service is one service for one of our users, or nil when the cloud does not
// offer it: a part that is not built yet is no reason to fail.
func (s *sampler) service(c *apiclient.Client, kind, version string) (*apiclient.Service, error) {
	svc, err := c.Service(kind, version)
	if err != nil && apiclient.IsNotServed(err) {
		if !s.unserved[kind] {
			s.Print.step(markLimited, kind, "is not offered by this cloud: no samples of it")
		}
		s.unserved[kind] = true
		return nil, nil
	}
	return svc, err
}

func (s *sampler) flavors(ctx context.Context) error {
	svc, err := s.service(s.admin, apiclient.Compute, "")
	if err != nil || svc == nil {
		return err
	}
	made := false
	for n, f := range []struct {
		name             string
		vcpus, ram, disk int
	}{{"m1.tiny", 1, 512, 1}, {"m1.small", 1, 2048, 20}, {"m1.medium", 2, 4096, 40}, {"m1.large", 4, 8192, 80}, {"m1.xlarge", 8, 16384, 160}} {
		body := map[string]any{"flavor": map[string]any{"id": fmt.Sprint(n + 1), "name": f.name, "vcpus": f.vcpus, "ram": f.ram, "disk": f.disk,
			"os-flavor-access:is_public": true}}
		_, fresh, err := s.once(ctx, svc, "flavor", f.name, "flavors", "flavors", nil, body)
		if err != nil {
			return err
		}
		made = made || fresh
	}
	if made {
		s.Print.step(markDone, "flavors", "m1.tiny to m1.xlarge")
	}
	return nil
}

// imageFile is the tiny guest's disk: named by the operator, kept in the data
// directory, or beside the program where "make guest" puts it.
func (i *Installation) imageFile() string {
	candidates := []string{i.cfg.Image, i.cfg.Path("guest", "guest.qcow2")}
	if i.cfg.Image != "" {
		candidates = candidates[:1]
	}
	for _, path := range append(candidates, besideProgram("guest.qcow2")) {
		fi, err := os.Stat(path)
		if path != "" && err == nil && fi.IsDir() { // what "make guest" made, as a whole
			path = filepath.Join(path, "guest.qcow2")
			fi, err = os.Stat(path)
		}
		if path != "" && err == nil && fi.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// besideProgram is a file of the tiny guest as built in a source tree.
func besideProgram(name string) string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(filepath.Dir(exe)), "out", "guest", name)
}

func (s *sampler) image(ctx context.Context) error {
	if s.state.Made["image tiny"] != "" {
		return nil
	}
	svc, err := s.service(s.admin, apiclient.Image, "")
	if err != nil || svc == nil {
		return err
	}
	file := s.imageFile()
	if file == "" {
		s.Print.step(markLimited, "image", "no file of the tiny guest is here: make guest, then mek up --image out/guest/guest.qcow2")
		return nil
	}
	content, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("image file: %w", err)
	}
	defer content.Close()
	found, there, err := svc.Find(ctx, "images", "images", "tiny", nil)
	if err != nil {
		return err
	}
	if !there {
		var out map[string]any
		body := map[string]any{"name": "tiny", "disk_format": "qcow2", "container_format": "bare", "visibility": "public", "min_disk": 1, "min_ram": 128,
			"hw_rng_model": "virtio", "os_distro": "debian", "os_admin_user": "cirros"}
		if err := svc.Post(ctx, "images", body, &out); err != nil {
			return err
		}
		found = apiclient.Object(out)
	}
	if found.Text("status") == "queued" {
		if err := svc.Upload(ctx, "images/"+found.Text("id")+"/file", content); err != nil {
			return err
		}
	}
	if err := s.imageActive(ctx, svc, found.Text("id")); err != nil {
		return err
	}
	s.Print.step(markDone, "image", "tiny, from %s", file)
	return s.made("image tiny", found.Text("id"))
}

// imageActive waits until the image was checked.
func (s *sampler) imageActive(ctx context.Context, svc *apiclient.Service, id string) error {
	for begun := s.Clock.Now(); ; {
		var image map[string]any
		if err := svc.Get(ctx, "images/"+id, &image); err != nil {
			return err
		}
		switch status := apiclient.Object(image).Text("status"); status {
		case "active":
			return nil
		case "queued", "saving", "importing":
		default:
			return fmt.Errorf("the image became %s", status)
		}
		if s.Clock.Now().Sub(begun) > imageDeadline {
			return errors.New("the image is not active after two minutes")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Clock.After(samplePoll):
		}
	}
}

// publicSubnet is the body of the external subnet: this host is its gateway.
func publicSubnet(network, cidr string) (map[string]any, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("public range: %w", err)
	}
	gateway := p.Addr().Next()
	first := gateway
	for range 9 {
		first = first.Next() // a few addresses stay free for the host's own use
	}
	last := p.Addr()
	for last.Next().IsValid() && p.Contains(last.Next()) {
		last = last.Next()
	}
	return map[string]any{"subnet": map[string]any{"network_id": network, "name": "public-subnet", "ip_version": 4, "cidr": cidr,
		"gateway_ip": gateway.String(), "enable_dhcp": false,
		"allocation_pools": []any{map[string]any{"start": first.String(), "end": last.Prev().String()}}}}, nil
}
