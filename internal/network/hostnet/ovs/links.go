package ovs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Every change of a link makes the switch look at all its ports again, and one at
// a time can change or list links. So those of many ports are changed by one call.

// linkChange is what becomes of a link. Zero: that stays as it is.
type linkChange struct {
	index int
	mtu   int
	up    bool
	group uint32
}

// linksTogether is how many links one call changes: the kernel answers each, and
// has to have room for all answers.
const linksTogether = 64

// changeLinks answers errors by the links' indexes; its own is of all.
func changeLinks(list []linkChange) (map[int]error, error) {
	failed := map[int]error{}
	if len(list) == 0 {
		return failed, nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("change links: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // all was answered, or nothing is known
	limit := unix.NsecToTimeval(callTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, fmt.Errorf("change links: %w", err)
	}
	for some := range slices.Chunk(list, linksTogether) {
		var b []byte
		for n, c := range some {
			b = append(b, c.message(uint32(n+1))...)
		}
		if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return nil, fmt.Errorf("change links: %w", err)
		}
		if err := answers(fd, some, failed); err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// answers reads what became of changes that were sent.
func answers(fd int, sent []linkChange, failed map[int]error) error {
	b := make([]byte, 64<<10)
	for left := len(sent); left > 0; {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change links: %w", err)
		}
		for m := b[:n]; len(m) >= unix.SizeofNlMsghdr+4; left-- {
			size := int(binary.NativeEndian.Uint32(m))
			number := int(binary.NativeEndian.Uint32(m[8:]))
			if size < unix.SizeofNlMsghdr+4 || size > len(m) || number < 1 || number > len(sent) {
				return errors.New("change links: an answer that fits no question")
			}
			if code := int32(binary.NativeEndian.Uint32(m[unix.SizeofNlMsghdr:])); code != 0 {
				failed[sent[number-1].index] = unix.Errno(-code)
			}
			m = m[min(len(m), (size+3)&^3):]
		}
	}
	return nil
}

// message is netlink's for the change.
func (c linkChange) message(number uint32) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_SETLINK)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(b[8:], number)
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], uint32(c.index))
	if c.up {
		binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+8:], unix.IFF_UP)
		binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+12:], unix.IFF_UP)
	}
	attribute := func(kind uint16, value uint32) {
		b = binary.NativeEndian.AppendUint16(b, 8)
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = binary.NativeEndian.AppendUint32(b, value)
	}
	if c.mtu > 0 {
		attribute(unix.IFLA_MTU, uint32(c.mtu))
	}
	if c.group > 0 || c.up { // what is up is not about to be removed
		attribute(unix.IFLA_GROUP, c.group)
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// indexOf is the index of a link.
func indexOf(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	request, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	}
	if err != nil {
		return 0, fmt.Errorf("find link %s: %w", name, err)
	}
	return int(request.Uint32()), nil
}
