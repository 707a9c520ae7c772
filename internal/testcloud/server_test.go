package testcloud_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// object is a JSON object.
type object = map[string]any

// TestServerAsClientsSeeIt makes a server on a whole cloud and looks at what
// the standard clients and the conformance tests look at.
func TestServerAsClientsSeeIt(t *testing.T) {
	c := testcloud.New(t)
	const v = "compute 2.93"
	const header = "OpenStack-API-Version"
	c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "f", "ram": 256, "vcpus": 1, "disk": 1, "id": "f1"}}).Expect(http.StatusOK)
	image := c.Demo.Do("POST", "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare"}).Expect(http.StatusCreated).String("id")
	c.Demo.Do("PUT", "/image/v2/images/"+image+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	network := c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	c.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}}).Expect(http.StatusCreated)
	id := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image,
		"accessIPv6": "0000:0000:0000:0000:0000:babe:220.12.22.2", "networks": []any{object{"uuid": network}}}}, header, v).Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()

	shown := c.Demo.Get("/compute/v2.1/servers/"+id, header, v).Expect(http.StatusOK)
	if got := shown.String("server.status"); got != "ACTIVE" {
		t.Fatalf("status %s: %s", got, shown.Body)
	}
	if got := shown.String("server.accessIPv6"); got != "::babe:dc0c:1602" {
		t.Errorf("accessIPv6 is %s, not the canonical form", got)
	}
	address := shown.String("server.addresses.n.0.addr")
	if got := c.Demo.Get("/compute/v2.1/servers?ip=" + address[:len("10.9.0")]).Expect(http.StatusOK).List("servers"); len(got) != 1 {
		t.Errorf("%d servers by the beginning of their address", len(got))
	}
	if got := c.Demo.Get("/compute/v2.1/servers?ip=10.8").Expect(http.StatusOK).List("servers"); len(got) != 0 {
		t.Errorf("%d servers by the beginning of another address", len(got))
	}

	c.Demo.Do("DELETE", "/compute/v2.1/servers/"+id, nil).Expect(http.StatusNoContent)
	c.RunTasks()
	log := "/compute/v2.1/servers/" + id + "/os-instance-actions"
	c.Demo.Get(log).Expect(http.StatusNotFound) // before 2.21
	entries := c.Demo.Get(log, header, "compute 2.21").Expect(http.StatusOK).List("instanceActions")
	if len(entries) != 2 {
		t.Fatalf("the log of the deleted server has %v", entries)
	}
	request := entries[0].(object)["request_id"].(string)
	if got := c.Demo.Get(log+"/"+request, header, "compute 2.51").Expect(http.StatusOK).String("instanceAction.events.0.result"); got != "Success" {
		t.Errorf("the delete ended with %s", got)
	}
}

func TestKeyPairsAsClientsSeeThem(t *testing.T) {
	c := testcloud.New(t)
	const path = "/compute/v2.1/os-keypairs"
	made := c.Demo.Do("POST", path, object{"keypair": object{"name": "winrm", "type": "x509"}}, "OpenStack-API-Version", "compute 2.2").Expect(http.StatusCreated)
	block, _ := pem.Decode([]byte(made.String("keypair.public_key")))
	if block == nil {
		t.Fatalf("not PEM: %s", made.Body)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Subject.CommonName != c.Demo.UserID {
		t.Errorf("the certificate is of %s", certificate.Subject.CommonName)
	}
	if secret, _ := pem.Decode([]byte(made.String("keypair.private_key"))); secret == nil || secret.Type != "PRIVATE KEY" {
		t.Errorf("the private key is not PEM")
	}
	for _, empty := range []string{"", " "} {
		c.Demo.Do("POST", path, object{"keypair": object{"name": "none", "public_key": empty}}).Expect(http.StatusBadRequest)
	}
}

func TestComputeVersions(t *testing.T) {
	c := testcloud.New(t)
	all := c.Anonymous().Get("/compute/").Expect(http.StatusOK)
	if first, second := all.String("versions.0.id"), all.String("versions.1.id"); first != "v2.0" || second != "v2.1" {
		t.Errorf("versions are %s and %s", first, second)
	}
	self := c.Anonymous().Get("/compute/v2/").Expect(http.StatusOK)
	if got, want := self.String("version.links.0.href"), all.String("versions.0.links.0.href"); got != want {
		t.Errorf("v2.0 links to %s, the list to %s", got, want)
	}
}
