package installation

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// SSH becomes an ssh client that is logged in to a server by name. It returns
// only when it could not.
func (i *Installation) SSH(ctx context.Context, cloud, name string, command []string) error {
	s, err := i.session(ctx, cloud)
	if err != nil {
		return err
	}
	found, err := named(ctx, s.compute, "server", "servers", "servers", name)
	if err != nil {
		return err
	}
	server, err := s.active(ctx, found.Text("id"))
	if err != nil {
		return err
	}
	address := addressOf(server, "floating")
	if address == "" {
		return &Failure{What: name + " has no floating address",
			Do: "Give it one:  openstack --os-cloud demo server add floating ip " + name + " $(openstack --os-cloud demo floating ip create public -f value -c floating_ip_address)"}
	}
	program, err := exec.LookPath("ssh")
	if err != nil {
		return &Failure{What: "there is no ssh client here", Do: "Install it:  apt-get install openssh-client"}
	}
	args, err := i.sshArguments(server.Text("id"), address, command)
	if err != nil {
		return err
	}
	i.Log.Debug("ssh", "arguments", args)
	return syscall.Exec(program, args, os.Environ())
}

// sshArguments names the host key after the server, since addresses are used again.
func (i *Installation) sshArguments(id, address string, command []string) ([]string, error) {
	state, err := i.loadSamples()
	if err != nil {
		return nil, err
	}
	key := state.Key
	if _, err := os.Stat(key); err != nil {
		key = i.cfg.Path("demo.key")
	}
	known := filepath.Join(i.cfg.DataDir, "known_hosts")
	if f, err := os.OpenFile(known, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
		_ = f.Close() // only to see whether we may write it
	} else {
		known = "/dev/null"
	}
	args := []string{"ssh", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" + known,
		"-o", "HostKeyAlias=" + id, "-o", "LogLevel=ERROR", "cirros@" + address}
	if len(command) > 0 {
		args = append(args, "--")
	}
	return append(args, command...), nil
}
