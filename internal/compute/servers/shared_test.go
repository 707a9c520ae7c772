package servers

import (
	"context"
	"fmt"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute/guest"
)

// TestSharedVolumes: servers of one host have one volume, which they are told to share.
func TestSharedVolumes(t *testing.T) {
	f := newFront(t)
	f.vol.all[volumeA].Multiattach = true
	one, two := f.boot(plainBody), f.boot(plainBody)
	post, body := "/servers/%s/os-volume_attachments", `{"volumeAttachment":{"volumeId":"`+volumeA+`"}}`
	f.want(400, "member", "2.59", "POST", fmt.Sprintf(post, one), body)
	for _, server := range []string{one, two} {
		f.want(200, "member", "2.60", "POST", fmt.Sprintf(post, server), body)
		f.idle()
		f.want(200, "member", "2.60", "GET", fmt.Sprintf(post, server)+"/"+volumeA, "")
	}
	doc, _, err := f.servers.Render(context.Background(), "host-a")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range doc.(guest.Document).Guests {
		if d := spec.Disks[len(spec.Disks)-1]; d.VolumeID != volumeA || !d.Shared || spec.Disks[0].Shared {
			t.Errorf("disks of %s: %+v", spec.ID, spec.Disks)
		}
	}
	const other = "0b8a3f6e-5f0e-4c8e-9f6a-0d6f5f0f7c11"
	f.vol.all[other] = &blockstorage.Volume{ID: other, ProjectID: project, SizeGiB: 1, Status: blockstorage.Available}
	f.want(400, "admin", "2.60", "PUT", fmt.Sprintf(post, one)+"/"+volumeA, `{"volumeAttachment":{"volumeId":"`+other+`"}}`)
	f.want(202, "member", "2.60", "DELETE", fmt.Sprintf(post, one)+"/"+volumeA, "")
	f.idle()
	f.want(400, "member", "2.60", "POST", fmt.Sprintf(post, two), body) // has it
	f.vol.all[volumeA].Attachments[0].Host = "host-b"
	f.want(501, "member", "2.60", "POST", fmt.Sprintf(post, one), body)

	boot := `{"server":{"name":"x","flavorRef":"small","networks":"none","block_device_mapping_v2":[{"boot_index":0,"source_type":"volume","destination_type":"volume","uuid":"` + volumeA + `"}]}}`
	f.want(400, "member", "2.59", "POST", "/servers", boot)
	f.vol.all[volumeA].Status = blockstorage.Detaching
	f.want(400, "member", "2.60", "POST", "/servers", boot)
}
