package fault

import (
	"errors"
	"syscall"
)

// What it means that a machine has too little of something: room is what users
// and operators have to make, so an operation of a host that finds none is refused.
// Descriptors, processes and memory come back by themselves when others end, so
// what finds none is tried again.

// NoRoom tells whether an error is for want of room or inodes on a disk.
func NoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// overloaded tells whether an error is for want of descriptors, processes or memory.
func overloaded(err error) bool {
	for _, code := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// OfHost makes a fault of an error of a host that nobody has made one of, if the
// host has too little of something; any other is left as it is.
func OfHost(err error) error {
	switch {
	case err == nil || KindOf(err) != Internal:
	case NoRoom(err):
		return Conflictf("There is not enough space on the host").Because(err)
	case overloaded(err):
		return Unavailablef("The host has too much to do").Because(err)
	}
	return err
}

// OfService is OfHost for the machine that answers requests: whatever it lacks,
// it is not the request that is wrong.
func OfService(err error) error {
	switch {
	case err == nil || KindOf(err) != Internal:
	case NoRoom(err):
		return Unavailablef("The disk of the control plane is full.").Because(err)
	case overloaded(err):
		return Unavailablef("The control plane has too much to do; try again later.").Because(err)
	}
	return err
}
