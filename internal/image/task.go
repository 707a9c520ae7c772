package image

// Task is a work on images that can be asked about, as it begins.
type Task struct {
	ID      string
	Kind    string // "import", "api_image_import" or "location_import"
	Image   string // that it is about; empty: one that it makes
	Input   map[string]any
	Waiting bool // it is not at work yet
}

// The kinds of tasks.
const (
	ImportTask   = "import"           // makes an image of what is at an address
	BytesTask    = "api_image_import" // brings the bytes of an image that is there
	LocationTask = "location_import"  // the same, by the new location of the image
)
