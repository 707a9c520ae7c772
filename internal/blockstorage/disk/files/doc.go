// Package files keeps volumes as sparse raw files in one directory.
//
// A volume appears under its name, ID.raw or ID.snap, only when its content is
// whole and on disk: it is made under a name that ends in .new, flushed and
// renamed. What ends in .new at start is rubbish of a crash and is removed.
// Content that replaces another has its epoch in the name, ID.EPOCH.raw; of
// two files of one id the later epoch is the volume, the other one rubbish.
// New files are sparse, so they read as zeros whatever was on the disk before.
//
// Copies share blocks where the file system can (FICLONE); elsewhere data is
// copied, holes stay holes. Image bytes are parsed by Converter's process
// only, with the format that the image service found.
package files
