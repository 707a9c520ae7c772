package image

// Transfer is an upload, staging or import that owns an image by its token
// until it ends, or until it is given up for dead.
type Transfer struct{ ImageID, Token string }

// Stored is what a transfer learned about the bytes it brought.
type Stored struct {
	Status      Status // to pass to
	Size        int64  // bytes
	VirtualSize int64  // bytes; -1: unknown
	MD5, SHA512 string // hexadecimal
	Content     Format
}
