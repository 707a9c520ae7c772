package objectstore

// Listing asks for a page of names in order of their UTF-8 bytes.
type Listing struct {
	Prefix    string
	Delimiter string // any length; names that share what comes up to it become one Subdir
	Marker    string // only names after it (before it with Reverse), and no Subdir that equals it
	EndMarker string // only names before it (after it with Reverse, and no Subdir that equals it)
	Reverse   bool
	Limit     int // most entries, Subdirs included; at least 1
	// Versions lists every version and delete marker, newest first within a name.
	// VersionMarker goes on behind one version of Marker.
	Versions      bool
	VersionMarker string
}

// ObjectEntry is an object, or the Subdir that stands for several.
type ObjectEntry struct {
	Subdir string // prefix up to and with the delimiter; then Object is empty
	Object Object
}

// ContainerEntry is a container, or the Subdir that stands for several.
type ContainerEntry struct {
	Subdir    string
	Container Container
}
