package volumes

import (
	"maps"

	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// metadata are those of volumes; the flag readonly is shown among them.
func (a api) metadata() wire.Metadata {
	return wire.Metadata{Noun: "Volume", Guarded: true, Get: ruleMetaGet, Create: ruleMetaCreate, Update: ruleMetaUpdate, Delete: ruleMetaDelete,
		Show: func(c *rest.Call) (map[string]string, error) {
			v, err := a.table.Find(c, c.Var("id"))
			if err != nil {
				return nil, err
			}
			return v.ShownMetadata(), nil
		},
		Change: func(c *rest.Call, f func(map[string]string) error) error {
			v, err := a.table.Find(c, c.Var("id"))
			if err != nil {
				return err
			}
			_, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), func(v *volume) error {
				v.Metadata = maps.Clone(v.Metadata)
				return f(v.Metadata)
			})
			return err
		}}
}
