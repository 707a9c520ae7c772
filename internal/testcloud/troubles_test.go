package testcloud_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/await"
	"github.com/mekcloud/mek/test/report"
)

// TestFaultsShow injects one fault of each class into a whole cloud and looks for
// it where operators do: on /metrics, and in the events (I-42).
func TestFaultsShow(t *testing.T) {
	run := report.Start(t, "F7", 0)
	plain := testcloud.New(t)
	var broken atomic.Bool
	c := plain.Again(plain.DB.Faulty(func(context.Context, bool) error {
		if broken.Load() {
			return errors.New("input/output error")
		}
		return nil
	}))
	shown := func(what, metric string, labels ...string) {
		t.Helper()
		run.Fault(what, 1)
		await.That(t, what+" on "+metric, func() bool { return c.Metric(metric, labels...) > 0 })
	}
	broken.Store(true)
	c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{}}).Expect(http.StatusServiceUnavailable)
	shown("the disk fails under a request", "mek_database_refusals_total")
	shown("the disk fails under a reconciler", "mek_reconciler_failures_total", "outbox")
	broken.Store(false)
	c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{}}).Expect(http.StatusCreated)

	_, image := server(t, c)
	c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "vast", "ram": 1 << 30, "vcpus": 1, "disk": 1, "id": "vast"}}).Expect(http.StatusOK)
	c.Admin.Do("PUT", "/compute/v2.1/os-quota-sets/"+c.Demo.ProjectID, object{"quota_set": object{"ram": -1}}).Expect(http.StatusOK)
	lost := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "vast", "imageRef": image, "networks": "none"}},
		"OpenStack-API-Version", "compute 2.37").Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	shown("no host has room", "mek_task_troubles_total", "compute.server.create", task.Unwound)
	if _, err := outbox.Publish(t.Context(), c.DB); err != nil {
		t.Fatal(err)
	}
	list, err := outbox.Read(t.Context(), c.DB, 0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, e := range list {
		if e.Record.Action == task.Failed && e.Record.Object == lost {
			if told++; e.Record.RequestID == "" || e.Record.ProjectID != c.Demo.ProjectID || e.Record.Payload["reason"] == "" {
				t.Errorf("the event does not say whose and why: %+v", e.Record)
			}
		}
	}
	if told != 1 {
		t.Errorf("%d events tell that the server could not be made", told)
	}
}
