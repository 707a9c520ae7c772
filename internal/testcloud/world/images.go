package world

import "net/http"

// images makes one of each thing of the image service.
func (w *World) images() {
	const v2 = "/image/v2"
	m := w.m
	image := w.made(m, "image", v2+"/images", "id", Object{"name": "disk", "disk_format": "raw", "container_format": "bare", "visibility": "shared", "tags": []string{"blue"}, "colour": "blue"})
	w.set(m, "PUT", v2+"/images/"+image+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream")
	w.set(m, "POST", v2+"/images/"+image+"/members", Object{"member": w.Third})
	w.made(m, "queued image", v2+"/images", "id", Object{"name": "to come", "disk_format": "raw", "container_format": "bare"})
	staged := w.made(m, "staged image", v2+"/images", "id", Object{"name": "staged", "disk_format": "raw", "container_format": "bare"})
	w.set(m, "PUT", v2+"/images/"+staged+"/stage", make([]byte, 1<<20), "Content-Type", "application/octet-stream")
	w.set(m, "POST", v2+"/images/"+staged+"/import", Object{"method": Object{"name": "glance-direct"}})
	w.cloud.RunTasks()
	for _, task := range w.set(w.a, "GET", v2+"/tasks", nil).List("tasks") {
		w.Things["image task"] = task.(Object)["id"].(string)
	}
	if stores := w.by(w.a, "GET", v2+"/info/stores", nil); stores.Status == http.StatusOK {
		w.Things["image store"] = stores.String("stores.0.id")
	}
	w.set(w.a, "POST", v2+"/metadefs/namespaces", Object{"namespace": "Ns", "visibility": "private", "owner": w.Project})
	of := v2 + "/metadefs/namespaces/Ns"
	w.set(w.a, "POST", of+"/objects", Object{"name": "thing", "properties": Object{}})
	w.set(w.a, "POST", of+"/properties", Object{"name": "size", "title": "Size", "type": "integer"})
	w.set(w.a, "POST", of+"/tags/blue", nil)
	w.set(w.a, "POST", of+"/resource_types", Object{"name": "OS::Nova::Flavor"})
}
