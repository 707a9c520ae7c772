package ovn

import (
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// watchedPort is the little of a logical port that is monitored.
type watchedPort struct {
	UUID string `ovsdb:"_uuid"`
	Name string `ovsdb:"name"`
	Up   *bool  `ovsdb:"up"`
}

func (p *watchedPort) isUp() bool { return p.Up != nil && *p.Up }

func upHandler(onUp func(string, bool)) cache.EventHandler {
	tell := func(m model.Model) {
		if p, ok := m.(*watchedPort); ok {
			onUp(p.Name, p.isUp())
		}
	}
	return &cache.EventHandlerFuncs{
		AddFunc: func(_ string, m model.Model) { tell(m) },
		UpdateFunc: func(_ string, before, after model.Model) {
			old, ok1 := before.(*watchedPort)
			now, ok2 := after.(*watchedPort)
			if ok1 && ok2 && old.isUp() != now.isUp() {
				onUp(now.Name, now.isUp())
			}
		},
	}
}
