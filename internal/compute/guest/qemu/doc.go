// Package qemu runs guests as QEMU processes of this host.
//
// A guest is a folder (guests/ID below Config.Dir) with its disks and one file,
// guest.json, that says what was asked for and what was done; and while it runs
// a process that belongs to nobody: own session, own cgroup, own user and group
// id, QEMU's seccomp filter, and only descriptors for disks, taps and sockets.
// The driver that started it may die; the next one finds the folder, compares
// process start time and boot id, greets the monitor and goes on.
//
// Invariants:
//   - A process is in the cgroup named after its guest before it executes, so
//     killing and emptying that cgroup is all that is ever needed to be rid of it.
//   - QEMU is told to pause when its guest switches off, never to exit: a
//     process that is gone has crashed, even if nobody watched.
//   - Formats are explicit, a base is opened with "backing": null, no image
//     header is believed but for the two fields that package qcow2 reads.
//   - Each disk and each card has a slot (a pcie-root-port) from its first
//     start on, so that plugging hot and starting cold make the same machine,
//     and saved memory fits the machine that is built for it again.
//   - The process runs halted (-S) until all that must be true is.
//
// Rejected: a small program of ours between agent and QEMU to enter cgroups and
// drop privileges. A thread that enters the cgroups before it forks does it in
// a millisecond; executing this binary once more would cost a good part of the
// 50 ms that a guest may start later than a QEMU started by hand. qemu-img for
// making overlays: as slow, for 256 KiB of a documented format. -daemonize
// (does not go together with -sandbox). Listening for VNC: connections are
// handed in as descriptors, so there is no socket to protect.
package qemu
