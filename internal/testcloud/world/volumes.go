package world

// volumes makes one of each thing of the volume service.
func (w *World) volumes() {
	const v3 = "/volume/v3"
	latest := []string{"OpenStack-API-Version", "volume latest"}
	m, a := w.m, w.a
	kind := w.made(a, "volume type", v3+"/types", "volume_type.id", Object{"volume_type": Object{"name": "own", "os-volume-type-access:is_public": false, "extra_specs": Object{"a": "b"}}})
	w.set(a, "POST", v3+"/types/"+kind+"/action", Object{"addProjectAccess": Object{"project": w.Project}})
	w.Things["encryption"] = w.set(a, "POST", v3+"/types/"+kind+"/encryption", Object{"encryption": Object{"provider": "luks", "control_location": "front-end"}}).String("encryption.encryption_id")
	w.made(a, "volume qos", v3+"/qos-specs", "qos_specs.id", Object{"qos_specs": Object{"name": "fast", "consumer": "back-end"}})
	volume := w.made(m, "volume", v3+"/volumes", "volume.id", Object{"volume": Object{"size": 1, "name": "data", "metadata": Object{"a": "b"}}})
	w.cloud.RunTasks()
	w.made(m, "snapshot", v3+"/snapshots", "snapshot.id", Object{"snapshot": Object{"volume_id": volume, "metadata": Object{"a": "b"}}})
	w.cloud.RunTasks()
	w.made(m, "backup", v3+"/backups", "backup.id", Object{"backup": Object{"volume_id": volume, "name": "kept"}})
	w.cloud.RunTasks()
	given := w.made(m, "given volume", v3+"/volumes", "volume.id", Object{"volume": Object{"size": 1}})
	w.cloud.RunTasks()
	w.made(m, "transfer", v3+"/volume-transfers", "transfer.id", Object{"transfer": Object{"volume_id": given}}, latest...)
	groupType := w.made(a, "group type", v3+"/group_types", "group_type.id", Object{"group_type": Object{"name": "sets", "group_specs": Object{"a": "b"}}}, latest...)
	plain := w.made(a, "plain type", v3+"/types", "volume_type.id", Object{"volume_type": Object{"name": "plain"}})
	group := w.made(m, "volume group", v3+"/groups", "group.id", Object{"group": Object{"name": "set", "group_type": groupType, "volume_types": []string{plain}}}, latest...)
	w.cloud.RunTasks()
	w.made(m, "grouped volume", v3+"/volumes", "volume.id", Object{"volume": Object{"size": 1, "volume_type": plain, "group_id": group}}, latest...)
	w.cloud.RunTasks()
	w.made(m, "group snapshot", v3+"/group_snapshots", "group_snapshot.id", Object{"group_snapshot": Object{"group_id": group, "name": "both"}}, latest...)
	w.cloud.RunTasks()
	w.set(a, "PUT", v3+"/default-types/"+w.Third, Object{"default_type": Object{"volume_type": plain}}, latest...)
	reserved := w.made(m, "reserved volume", v3+"/volumes", "volume.id", Object{"volume": Object{"size": 1}})
	w.cloud.RunTasks()
	_ = reserved
	if pools := w.set(a, "GET", v3+"/scheduler-stats/get_pools", nil).List("pools"); len(pools) > 0 {
		w.Things["pool"] = pools[0].(Object)["name"].(string)
	}
	w.refused(plain)
}

// refused has a volume fail, which leaves a message behind.
func (w *World) refused(kind string) {
	w.set(w.a, "POST", "/volume/v3/types/"+kind+"/extra_specs", Object{"extra_specs": Object{"volume_backend_name": "nowhere"}})
	w.made(w.m, "failed volume", "/volume/v3/volumes", "volume.id", Object{"volume": Object{"size": 1, "volume_type": kind}})
	w.cloud.RunTasks()
	for _, one := range w.set(w.m, "GET", "/volume/v3/messages", nil, "OpenStack-API-Version", "volume latest").List("messages") {
		w.Things["message"] = one.(Object)["id"].(string)
	}
}
