package types

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleEncryptCreate = "volume_extension:volume_type_encryption:create"
	ruleEncryptGet    = "volume_extension:volume_type_encryption:get"
	ruleEncryptUpdate = "volume_extension:volume_type_encryption:update"
	ruleEncryptDelete = "volume_extension:volume_type_encryption:delete"
)

func (a api) encryptionRoutes() []rest.Route {
	const all, one = "/v3/types/{id}/encryption", "/v3/types/{id}/encryption/{key}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: ruleEncryptGet, Handle: a.encryption},
		{Method: "POST", Path: all, Rule: ruleEncryptCreate, Audit: "update", Handle: a.encrypt},
		{Method: "GET", Path: one, Rule: ruleEncryptGet, Handle: a.encryptionItem},
		{Method: "PUT", Path: one, Rule: ruleEncryptUpdate, Audit: "update", Handle: a.reencrypt},
		{Method: "DELETE", Path: one, Rule: ruleEncryptDelete, Audit: "update", Handle: a.decrypt},
	}
}

// encryptionView is how a type is encrypted; empty when it is not.
func encryptionView(t *blockstorage.Type) map[string]any {
	e := t.Encryption
	if e == nil {
		return map[string]any{}
	}
	return map[string]any{"volume_type_id": t.ID, "encryption_id": e.ID, "provider": e.Provider, "control_location": e.Control,
		"cipher": blockstorage.NullIfEmpty(e.Cipher), "key_size": e.KeySizeOrNull(), "deleted": false, "deleted_at": nil,
		"created_at": blockstorage.Time(e.CreatedAt), "updated_at": blockstorage.Time(e.UpdatedAt)}
}

func (a api) encryption(c *rest.Call) (rest.Reply, error) {
	t, err := a.types.store.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(encryptionView(t))
}

func notEncrypted(c *rest.Call) error {
	return fault.NotFoundf("Volume type encryption for type %s does not exist.", c.Var("id")).With("VolumeTypeEncryptionNotFound")
}

func (a api) encryptionItem(c *rest.Call) (rest.Reply, error) {
	t, err := a.types.store.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	v, ok := encryptionView(t)[c.Var("key")]
	if !ok {
		return rest.Reply{}, notEncrypted(c)
	}
	return rest.OK(map[string]any{c.Var("key"): v})
}

// encryptionBody is what clients say of an encryption; upstream lets other members pass.
type encryptionBody struct {
	Provider rest.Opt[string]   `json:"provider" v:"max=255"`
	Control  rest.Opt[string]   `json:"control_location" v:"enum=front-end|back-end"`
	Cipher   rest.Opt[string]   `json:"cipher" v:"max=255"`
	KeySize  rest.Opt[rest.Int] `json:"key_size" v:"min=0,max=2147483647"`
}

// apply writes the members that were given into e and answers them.
func (in *encryptionBody) apply(e *blockstorage.Encryption) map[string]any {
	out := map[string]any{}
	if in.Provider.Set {
		e.Provider = in.Provider.V
		out["provider"] = e.Provider
	}
	if in.Control.Set {
		e.Control = in.Control.V
		out["control_location"] = e.Control
	}
	if in.Cipher.Set {
		e.Cipher = in.Cipher.V
		out["cipher"] = blockstorage.NullIfEmpty(e.Cipher)
	}
	if in.KeySize.Set {
		e.KeySize = int64(in.KeySize.V)
		out["key_size"] = e.KeySizeOrNull()
	}
	return out
}

func decodeEncryption(c *rest.Call) (*encryptionBody, error) {
	in := &encryptionBody{}
	return in, wire.DecodeLoose(c, "encryption", []string{"provider", "control_location", "cipher", "key_size"}, in)
}

func (a api) encrypt(c *rest.Call) (rest.Reply, error) {
	in, err := decodeEncryption(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if !in.Provider.Set || !in.Control.Set {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute encryption. 'provider' and 'control_location' are required properties")
	}
	e := &blockstorage.Encryption{ID: id.New(), CreatedAt: a.types.now()}
	out := in.apply(e)
	err = a.types.setEncryption(c.Context(), c.Var("id"), "create", c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		if t.Encryption != nil {
			return fault.Invalidf("Volume type encryption for type %s already exists.", t.ID)
		}
		t.Encryption = e
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	out["volume_type_id"], out["encryption_id"] = c.Var("id"), e.ID
	return rest.OK(map[string]any{"encryption": out})
}

func (a api) reencrypt(c *rest.Call) (rest.Reply, error) {
	in, err := decodeEncryption(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var out map[string]any
	err = a.types.setEncryption(c.Context(), c.Var("id"), "update", c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		if t.Encryption == nil { // a type has one at most; what the path calls it does not matter upstream
			return notEncrypted(c)
		}
		out, t.Encryption.UpdatedAt = in.apply(t.Encryption), a.types.now()
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"encryption": out})
}

func (a api) decrypt(c *rest.Call) (rest.Reply, error) {
	err := a.types.setEncryption(c.Context(), c.Var("id"), "delete", c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		if t.Encryption == nil { // a type has one at most; what the path calls it does not matter upstream
			return notEncrypted(c)
		}
		t.Encryption = nil
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
