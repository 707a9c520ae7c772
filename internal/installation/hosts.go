package installation

import (
	"context"
	"errors"

	"github.com/mekcloud/mek/internal/apiclient"
)

// Hosts prints the hosts as the server sees them.
func (i *Installation) Hosts(ctx context.Context) error {
	if err := i.need(); err != nil {
		return err
	}
	c, err := i.client(ctx, "admin")
	if err != nil {
		return &Failure{What: "the cloud cannot be asked", Why: errors.New(apiclient.Reason(err)), Do: "Look at it:  mek status"}
	}
	compute, err := c.Service(apiclient.Compute, "2.53")
	if err != nil {
		return &Failure{What: "the cloud does not offer compute", Why: err}
	}
	list, err := compute.List(ctx, "os-hypervisors/detail", "hypervisors", nil)
	if err != nil {
		return &Failure{What: "hosts", Why: errors.New(apiclient.Reason(err))}
	}
	if i.Print.JSON {
		return i.Print.object(list)
	}
	for _, h := range list {
		i.Print.data("%-36s  %-20s  %-5s %-8s  %s  guests %v", h.Text("id"), h.Text("hypervisor_hostname"), h.Text("state"), h.Text("status"),
			h.Text("hypervisor_type"), h["running_vms"])
	}
	return nil
}
