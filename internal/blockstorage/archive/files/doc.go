// Package files keeps backups as files: a folder per container, a folder per
// backup in it. Operators put the directory on another disk or mount a
// network file system there. A piece appears under its name only when it is
// whole and on disk.
package files
