package fault

import (
	"errors"
	"syscall"
)

// What it means that a machine has too little of something: room is what users
// and operators have to make, so an operation that finds none is refused.
// Descriptors, processes and memory come back by themselves when others end, so
// what finds none is tried again.

// NoRoom tells whether an error is for want of room or inodes on a disk.
func NoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// OfHost makes a fault of an error of a host that nobody has made one of, if the
// host has too little of something; any other is left as it is.
func OfHost(err error) error {
	if err == nil || KindOf(err) != Internal {
		return err
	}
	if NoRoom(err) {
		return Conflictf("There is not enough space on the host").Because(err)
	}
	for _, code := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN} {
		if errors.Is(err, code) {
			return Unavailablef("The host has too much to do").Because(err)
		}
	}
	return err
}
