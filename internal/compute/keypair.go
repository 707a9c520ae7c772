package compute

// KeyPair is a public key that a user puts into servers. Names are unique per user.
type KeyPair struct {
	ID          string
	Serial      int64 // the small number the API calls id
	UserID      string
	Name        string
	Type        KeyType
	PublicKey   string
	Fingerprint string
	CreatedAt   int64 // microseconds
}

// KeyType is what a key pair is for.
type KeyType string

// The key types.
const (
	SSHKey  KeyType = "ssh"
	X509Key KeyType = "x509"
)
