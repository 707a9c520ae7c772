package compute

// Flavor is a size that servers come in. Its ID is chosen by the administrator
// or minted; servers keep a copy, so a flavor may go while servers use it.
type Flavor struct {
	ID          string            `json:"id,omitzero"`
	Name        string            `json:"name,omitzero"`
	Description string            `json:"description,omitzero"` // "" and HasDescription false: null
	Described   bool              `json:"described,omitzero"`
	VCPUs       int               `json:"vcpus,omitzero"`
	MemoryMiB   int               `json:"ram,omitzero"`
	RootGiB     int               `json:"disk,omitzero"`
	EphemGiB    int               `json:"ephemeral,omitzero"`
	SwapMiB     int               `json:"swap,omitzero"`
	RXTXFactor  float64           `json:"rxtx_factor,omitzero"`
	Public      bool              `json:"is_public,omitzero"`
	Disabled    bool              `json:"disabled,omitzero"`
	ExtraSpecs  map[string]string `json:"extra_specs,omitzero"`
	CreatedAt   int64             `json:"created_at,omitzero"` // microseconds
}

// Bounds of a flavor, as upstream's schema has them.
const (
	MaxFlavorNumber = 1<<31 - 1
	MaxExtraSpecs   = 128
)
