package compute

// Flavor is a size that servers come in. Its ID is chosen by the administrator
// or minted; servers keep a copy, so a flavor may go while servers use it.
type Flavor struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"` // "" and HasDescription false: null
	Described   bool              `json:"described"`
	VCPUs       int               `json:"vcpus"`
	MemoryMiB   int               `json:"ram"`
	RootGiB     int               `json:"disk"`
	EphemGiB    int               `json:"ephemeral"`
	SwapMiB     int               `json:"swap"`
	RXTXFactor  float64           `json:"rxtx_factor"`
	Public      bool              `json:"is_public"`
	Disabled    bool              `json:"disabled"`
	ExtraSpecs  map[string]string `json:"extra_specs"`
	CreatedAt   int64             `json:"created_at"` // microseconds
}

// Bounds of a flavor, as upstream's schema has them.
const (
	MaxFlavorNumber = 1<<31 - 1
	MaxExtraSpecs   = 128
)
