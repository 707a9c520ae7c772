// Package configdrive lays out a guest's metadata as the tree of files that
// OpenStack defines, and writes the tree as the CD that guests look for: ISO
// 9660 with Rock Ridge and Joliet names, labelled config-2.
//
// The metadata service serves the same tree (Tree), so a guest reads the same
// whichever way it asks. Every version folder holds the newest documents as far
// as the version has them: members were only ever added, and readers ignore
// those they do not know. Rejected: VFAT drives (upstream deprecated them).
package configdrive
