package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/mekcloud/mek/internal/db"
)

// Format is the version of the layout. A program reads its own and older ones.
const Format = 1

// The names in a backup.
const (
	manifestName = "manifest.json"
	DatabaseName = "db/mek.db"      // SQLite
	TablesDir    = "db/tables"      // PostgreSQL: one file of COPY text per table
	FilesDir     = "files"          // settings, certificates, secrets, as in the data directory
	ObjectsDir   = "objects/index"  // index of the object store
	SealedName   = "bootstrap.seal" // first passwords, sealed by the master key
)

// Manifest says what is in a backup.
type Manifest struct {
	Format    int       `json:"format"`
	Program   string    `json:"program"`
	CreatedAt time.Time `json:"created_at"`
	DataDir   string    `json:"data_dir"`
	Host      string    `json:"host"`
	Engine    db.Engine `json:"engine"`
	Schema    int64     `json:"schema"`
	Epoch     int64     `json:"epoch"`
	// MasterKey names the key that seals what is secret, without telling it.
	MasterKey    string    `json:"master_key"`
	HasMasterKey bool      `json:"has_master_key"`   // it is inside
	Dumped       []db.Dump `json:"tables,omitempty"` // PostgreSQL, in the order to load them
	Objects      bool      `json:"objects"`          // the index of objects is inside
	NotInside    []string  `json:"not_inside"`
	Files        []File    `json:"files"`
}

// File is one member of a backup.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Service says that it belongs to the user of the server, whoever that is
	// where it is restored.
	Service bool `json:"service,omitempty"`
}

// NotInside is what backups never hold.
var NotInside = []string{"images", "volumes and their backups", "disks of servers", "bodies of objects over 32 KiB"}

// Fingerprint names a master key.
func Fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("mek master key "), key...))
	return hex.EncodeToString(sum[:8])
}
