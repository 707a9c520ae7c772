package image

// Violation is a broken invariant, with the evidence of both sides.
type Violation struct {
	Code     string // stable, for example "I-08/missing-bytes"
	Object   string // id of the image, or name of the file
	Evidence string
}
