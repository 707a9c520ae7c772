// Package worker reads and converts the bytes of images in a process of its
// own, because an image is hostile input: its format is found, checked and
// measured where a mistake of the parser harms nothing.
//
// A Runner starts this same program again, as a hidden subcommand that calls
// Main. The process gets three descriptors: the image, read only, on 3; the
// output on 4; the program itself on 5. It sees no file by name except the
// system's libraries, and no network: bubblewrap gives it namespaces (its own
// namespaces are used where bubblewrap is missing), and then Main binds itself
// further, by Landlock, seccomp and resource limits, before it looks at the
// first byte. One process reads one image. If any of that cannot be had, the
// work is refused: there is no unsandboxed way.
//
// Limits: 1 GiB of memory (4 of address space), 30 s of CPU, one minute (inspection) or one
// hour (conversion) of wall time, output no longer than was allowed.
//
// Refused contents (SEC-01, SEC-02): backing files, external data files,
// unknown incompatible features and encryption in qcow2; parents in vhd, vhdx
// and vdi; VMDK other than monolithicSparse and streamOptimized; qcow 1, QED.
//
// Rejected: go-qcow2reader's own reading of qcow2, which opens the backing
// file it finds; `qemu-img info`, a large parser for a small question.
package worker
