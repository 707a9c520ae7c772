package volumes

import (
	"maps"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

func (a api) metadata(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"metadata": v.ShownMetadata()})
}

// changeMetadata lets f change a volume's metadata and answers what it gives.
func (a api) changeMetadata(c *rest.Call, f func(map[string]string) (any, error)) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var body any
	_, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), func(v *volume) error {
		meta := maps.Clone(v.Metadata)
		if body, err = f(meta); err != nil {
			return err
		}
		v.Metadata = meta
		return blockstorage.CheckMetadata(meta)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

type metadataBody struct {
	Metadata map[string]string `json:"metadata" v:"required"`
}

func (a api) addMetadata(c *rest.Call) (rest.Reply, error) {
	var in metadataBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return a.changeMetadata(c, func(meta map[string]string) (any, error) {
		maps.Copy(meta, in.Metadata)
		return map[string]any{"metadata": meta}, nil
	})
}

func (a api) setMetadata(c *rest.Call) (rest.Reply, error) {
	var in metadataBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return a.changeMetadata(c, func(meta map[string]string) (any, error) {
		clear(meta)
		maps.Copy(meta, in.Metadata)
		return map[string]any{"metadata": meta}, nil
	})
}

func noMetadata(c *rest.Call) error {
	return fault.NotFoundf("Volume %s has no metadata with key %s.", c.Var("id"), c.Var("key"))
}

func (a api) metadataItem(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	value, ok := v.ShownMetadata()[c.Var("key")]
	if !ok {
		return rest.Reply{}, noMetadata(c)
	}
	return rest.OK(map[string]any{"meta": map[string]string{c.Var("key"): value}})
}

func (a api) setMetadataItem(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Meta map[string]string `json:"meta" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if _, ok := in.Meta[c.Var("key")]; !ok || len(in.Meta) != 1 {
		return rest.Reply{}, fault.Invalidf("Request body and URI mismatch")
	}
	return a.changeMetadata(c, func(meta map[string]string) (any, error) {
		maps.Copy(meta, in.Meta)
		return map[string]any{"meta": in.Meta}, nil
	})
}

func (a api) dropMetadataItem(c *rest.Call) (rest.Reply, error) {
	reply, err := a.changeMetadata(c, func(meta map[string]string) (any, error) {
		if _, ok := meta[c.Var("key")]; !ok {
			return nil, noMetadata(c)
		}
		delete(meta, c.Var("key"))
		return nil, nil
	})
	return reply, err
}
