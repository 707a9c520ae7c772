package hoststate

import (
	"context"

	"github.com/mekcloud/mek/internal/check"
)

var keptCodes = map[string]check.Code{
	"unknown": {ID: "I-38/quarantined", Means: "a host has a guest, volume or port that the restored database does not know; guests are switched off, nothing is removed",
		Remedy: "mek admin kept; restore a newer backup, or: mek admin kept release HOST ID"},
	"lost": {ID: "I-38/lost", Means: "the restored database names a server whose disks are not on its host any more",
		Remedy: "openstack server rebuild or delete"},
	"diverged": {ID: "I-38/diverged", Means: "a server's disks were changed after the backup; they are kept as they are",
		Remedy: "openstack server rebuild or delete; a newer backup knows them"},
}

// KeptChecks list what hosts keep since the database went back in time.
func KeptChecks() []check.Check {
	return []check.Check{{Name: "hosts/kept", Rows: true, Codes: []check.Code{keptCodes["unknown"], keptCodes["lost"], keptCodes["diverged"]},
		Run: func(ctx context.Context, l *check.Look) error {
			list, err := KeptObjects(ctx, l)
			for _, k := range list {
				if code, ok := keptCodes[k.Kind]; ok {
					l.Report(code, check.Of(k.Section[:max(0, len(k.Section)-1)], k.Object), "kept by host %s", k.Host)
				}
			}
			return err
		}}}
}
