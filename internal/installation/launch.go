package installation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mekcloud/mek/internal/apiclient"
)

// LaunchOptions are what a first server is made of; empty fields take the samples.
type LaunchOptions struct {
	Name, Flavor, Image, Network, Key, Cloud string
	Timeout                                  time.Duration
	First                                    bool // only if none was ever made by Launch
}

func (o *LaunchOptions) fill() {
	for field, otherwise := range map[*string]string{&o.Flavor: "m1.tiny", &o.Image: "tiny", &o.Network: "private", &o.Key: "demo", &o.Cloud: "demo"} {
		if *field == "" {
			*field = otherwise
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Minute
	}
}

// session is the services that launch and ssh use, as one user.
type session struct {
	*Installation
	compute, network, image *apiclient.Service
}

// computeVersion is the microversion of our own calls: flavors by name and
// networks that must be named came before, tags after are not needed.
const computeVersion = "2.67"

func (i *Installation) session(ctx context.Context, cloud string) (*session, error) {
	if err := i.need(); err != nil {
		return nil, err
	}
	c, err := i.client(ctx, cloud)
	if err != nil {
		return nil, &Failure{What: "the cloud cannot be asked", Why: errors.New(apiclient.Reason(err)), Do: "Look at it:  mek status"}
	}
	s := &session{Installation: i}
	for kind, at := range map[string]**apiclient.Service{apiclient.Network: &s.network, apiclient.Image: &s.image} {
		if *at, err = c.Service(kind, ""); err != nil {
			return nil, &Failure{What: "the cloud does not offer " + kind, Why: err}
		}
	}
	if s.compute, err = c.Service(apiclient.Compute, computeVersion); err != nil {
		return nil, &Failure{What: "the cloud does not offer compute", Why: err}
	}
	return s, nil
}

// named finds one object or says in a person's words that there is none.
func named(ctx context.Context, svc *apiclient.Service, what, path, many, name string) (apiclient.Object, error) {
	o, there, err := svc.Find(ctx, path, many, name, nil)
	if err != nil {
		return nil, &Failure{What: what + " " + name, Why: errors.New(apiclient.Reason(err))}
	}
	if !there {
		return nil, &Failure{What: "there is no " + what + " named " + name, Do: "See what there is:  openstack --os-cloud demo " + what + " list"}
	}
	return o, nil
}

// Launch makes a server with a floating address and waits until ssh answers.
func (i *Installation) Launch(ctx context.Context, o LaunchOptions) error {
	o.fill()
	state, err := i.loadSamples()
	if err != nil {
		return err
	}
	if made := state.Made["server first"]; o.First && made != "" {
		i.Print.line("  The first server was made before: openstack --os-cloud %s server show %s", o.Cloud, made)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	s, err := i.session(ctx, o.Cloud)
	if err != nil {
		return err
	}
	if o.Name == "" {
		if o.Name, err = s.freeName(ctx); err != nil {
			return err
		}
	}
	i.Print.line("  openstack --os-cloud %s server create --flavor %s --image %s --network %s --security-group ssh-and-ping --key-name %s %s",
		o.Cloud, o.Flavor, o.Image, o.Network, o.Key, o.Name)
	begun := i.Clock.Now()
	server, err := s.create(ctx, o)
	if err != nil {
		return err
	}
	if server, err = s.active(ctx, server.Text("id")); err != nil {
		return err
	}
	i.Print.step(markDone, "built", "%s", i.Clock.Now().Sub(begun).Round(100*time.Millisecond))
	address, err := s.floatingAddress(ctx, server)
	if err != nil {
		return err
	}
	if !i.cfg.Simulated() {
		if err := s.answers(ctx, address); err != nil {
			return err
		}
		i.Print.step(markDone, "answering ssh", "%s", i.Clock.Now().Sub(begun).Round(100*time.Millisecond))
	}
	fixed := addressOf(server, "fixed")
	if state.Made["server first"] == "" {
		state.Made["server first"] = server.Text("id")
		if err := state.save(); err != nil {
			return err
		}
	}
	if i.Print.JSON {
		return i.Print.object(map[string]any{"id": server.Text("id"), "name": o.Name, "fixed_address": fixed, "floating_address": address, "key": state.Key,
			"seconds": i.Clock.Now().Sub(begun).Seconds()})
	}
	i.Print.data("  %s   %s   %s", o.Name, fixed, address)
	i.Print.line("\n  ssh -i %s cirros@%s        (mek ssh %s)\n", state.Key, address, o.Name)
	return nil
}

// freeName is the first of demo-1, demo-2 … that no server has.
func (s *session) freeName(ctx context.Context) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("demo-%d", n)
		list, err := s.compute.List(ctx, "servers", "servers", url.Values{"name": {"^" + name + "$"}})
		if err != nil {
			return "", &Failure{What: "servers", Why: errors.New(apiclient.Reason(err))}
		}
		if len(list) == 0 {
			return name, nil
		}
	}
}

func (s *session) create(ctx context.Context, o LaunchOptions) (apiclient.Object, error) {
	flavor, err := named(ctx, s.compute, "flavor", "flavors", "flavors", o.Flavor)
	if err != nil {
		return nil, err
	}
	image, err := named(ctx, s.image, "image", "images", "images", o.Image)
	if err != nil {
		return nil, err
	}
	network, err := named(ctx, s.network, "network", "networks", "networks", o.Network)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	err = s.compute.Post(ctx, "servers", map[string]any{"server": map[string]any{"name": o.Name, "flavorRef": flavor.Text("id"),
		"imageRef": image.Text("id"), "key_name": o.Key, "networks": []any{map[string]any{"uuid": network.Text("id")}},
		"security_groups": []any{map[string]any{"name": "ssh-and-ping"}}}}, &out)
	if err != nil {
		return nil, &Failure{What: "server " + o.Name, Why: errors.New(apiclient.Reason(err))}
	}
	return apiclient.Object(out).Inner("server"), nil
}

// active waits until the server runs.
func (s *session) active(ctx context.Context, id string) (apiclient.Object, error) {
	for {
		var out map[string]any
		if err := s.compute.Get(ctx, "servers/"+id, &out); err != nil {
			return nil, &Failure{What: "server " + id, Why: errors.New(apiclient.Reason(err))}
		}
		server := apiclient.Object(out).Inner("server")
		switch server.Text("status") {
		case "ACTIVE":
			return server, nil
		case "BUILD":
		default:
			return nil, &Failure{What: "the server became " + server.Text("status"), Why: errors.New(server.Inner("fault").Text("message")),
				Do: "Look closer:  openstack --os-cloud demo server show " + id}
		}
		select {
		case <-ctx.Done():
			return nil, &Failure{Code: ExitTimeout, What: "the server is still being built", Do: "Look closer:  openstack --os-cloud demo server show " + id}
		case <-s.Clock.After(100 * time.Millisecond):
		}
	}
}

// floatingAddress gives the server one on the network "public", unless it has one.
func (s *session) floatingAddress(ctx context.Context, server apiclient.Object) (string, error) {
	if has := addressOf(server, "floating"); has != "" {
		return has, nil
	}
	public, err := named(ctx, s.network, "network", "networks", "networks", "public")
	if err != nil {
		return "", err
	}
	ports, err := s.network.List(ctx, "ports", "ports", url.Values{"device_id": {server.Text("id")}})
	if err != nil || len(ports) == 0 {
		return "", &Failure{What: "the server has no port", Why: err}
	}
	var out map[string]any
	err = s.network.Post(ctx, "floatingips", map[string]any{"floatingip": map[string]any{"floating_network_id": public.Text("id"), "port_id": ports[0].Text("id")}}, &out)
	if err != nil {
		return "", &Failure{What: "floating address", Why: errors.New(apiclient.Reason(err))}
	}
	return apiclient.Object(out).Inner("floatingip").Text("floating_ip_address"), nil
}

// addressOf is the server's first address of a kind: fixed or floating.
func addressOf(server apiclient.Object, kind string) string {
	for _, list := range server.Inner("addresses") {
		items, _ := list.([]any)
		for _, item := range items {
			m, _ := item.(map[string]any)
			if a := apiclient.Object(m); a.Text("OS-EXT-IPS:type") == kind {
				return a.Text("addr")
			}
		}
	}
	return ""
}

// answers waits until our key is let in: the ssh server of a guest is up
// before the guest has fetched its keys.
func (s *session) answers(ctx context.Context, address string) error {
	conf, err := s.sshConfig()
	if err != nil {
		return err
	}
	for {
		if err = sshLogin(ctx, address, conf); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return &Failure{Code: ExitTimeout, What: "ssh does not answer at " + address, Why: err,
				Do: "Read what the server said while it started:  openstack --os-cloud demo console log show NAME"}
		case <-s.Clock.After(100 * time.Millisecond):
		}
	}
}

// sshConfig logs in with the samples' key. The host's key is not checked:
// nothing is sent, and "mek ssh" remembers it at its first connection.
func (s *session) sshConfig() (*ssh.ClientConfig, error) {
	text, err := os.ReadFile(s.cfg.Path("demo.key"))
	if err != nil {
		return nil, fmt.Errorf("key of the samples: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("key of the samples: %w", err)
	}
	return &ssh.ClientConfig{User: "cirros", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Timeout: 5 * time.Second}, nil
}

func sshLogin(ctx context.Context, address string, conf *ssh.ClientConfig) error {
	at := net.JoinHostPort(address, "22")
	conn, err := (&net.Dialer{Timeout: conf.Timeout}).DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	client, _, _, err := ssh.NewClientConn(conn, at, conf)
	if err != nil {
		return err
	}
	return client.Close()
}
