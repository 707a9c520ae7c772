package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Families of keys. Names end in a zero byte, which no name contains, so that
// keys sort as names do. Containers have a number in the keys of their objects:
// a container that is deleted and made again shares nothing with the old one.
const (
	accountFamily         = 'a' // account
	accountCountFamily    = 'b' // account
	containerFamily       = 'c' // account 0 container
	containerCountFamily  = 'd' // account 0 container
	eventFamily           = 'e' // sequence
	fileFamily            = 'f' // file
	metaFamily            = 'm' // name
	nullFamily            = 'n' // container's number, name 0: order of the null version among the noncurrent
	objectFamily          = 'o' // container's number, name 0: the current object
	reapFamily            = 'r' // account: deleted, waits for the reaper
	bodyFamily            = 's' // container's number, name 0 stamp
	versionFamily         = 'v' // container's number, name 0 inverted stamp
	expiryFamily          = 'x' // time, container's number, name 0
	maxName               = 1024
	numberSize, stampSize = 8, 8
)

// stamp orders the versions of one name; microseconds, never twice within a name.
type stamp uint64

func accountKey(family byte, account string) []byte { return append([]byte{family}, account...) }

func containerKey(family byte, account, container string) []byte {
	k := make([]byte, 0, len(account)+len(container)+2)
	k = append(append(append(k, family), account...), 0)
	return append(k, container...)
}

// nameKey is the key of a name in a container, and a prefix of those of its versions.
func nameKey(family byte, number uint64, name string) []byte {
	k := make([]byte, 0, 1+numberSize+len(name)+1+stampSize)
	k = binary.BigEndian.AppendUint64(append(k, family), number)
	return append(append(k, name...), 0)
}

// numberKey is the prefix of all names of a container.
func numberKey(family byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{family}, number)
}

func bodyKey(number uint64, name string, s stamp) []byte {
	return binary.BigEndian.AppendUint64(nameKey(bodyFamily, number, name), uint64(s))
}

// versionKey sorts the newest version of a name first.
func versionKey(number uint64, name string, s stamp) []byte {
	return binary.BigEndian.AppendUint64(nameKey(versionFamily, number, name), ^uint64(s))
}

func expiryKey(at int64, number uint64, name string) []byte {
	k := binary.BigEndian.AppendUint64([]byte{expiryFamily}, uint64(at))
	return append(k, nameKey(expiryFamily, number, name)[1:]...)
}

func sequenceKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{eventFamily}, sequence)
}

func metaKey(name string) []byte { return append([]byte{metaFamily}, name...) }

func fileKey(f fileID) []byte { return append([]byte{fileFamily}, f[:]...) }

// nameOf cuts the name out of a key of objects, versions or expiries whose name
// begins at an offset.
func nameOf(key []byte, from int) (string, error) {
	if from <= len(key) {
		if end := bytes.IndexByte(key[from:], 0); end >= 0 {
			return string(key[from : from+end]), nil
		}
	}
	return "", fmt.Errorf("key %x has no name", key)
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	k := bytes.Clone(prefix)
	for i := len(k) - 1; i >= 0; i-- {
		if k[i]++; k[i] != 0 {
			return k[:i+1]
		}
	}
	return nil // no key is behind
}

// fileID names a file: its folder, and a random word.
type fileID [9]byte

func (f fileID) folder() byte   { return f[0] }
func (f fileID) String() string { return hex.EncodeToString(f[:]) }

func parseFile(name string) (f fileID, ok bool) {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != len(f) || hex.EncodeToString(b) != name {
		return f, false
	}
	return fileID(b), true
}

// versionID is the identifier of a version; the newest sorts first.
func versionID(s stamp) string { return fmt.Sprintf("%016x", ^uint64(s)) }

func parseVersion(id string) (stamp, bool) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != stampSize || strings.ToLower(id) != id {
		return 0, false
	}
	return stamp(^binary.BigEndian.Uint64(b)), true
}

func checkName(kind, name string) error {
	if name == "" || len(name) > maxName || strings.IndexByte(name, 0) >= 0 || !utf8.ValidString(name) {
		return fault.Invalidf("This is not a name of an %s", kind)
	}
	return nil
}

func checkKey(k objectstore.Key) error {
	if err := checkName("account", k.Account); err != nil {
		return err
	}
	if err := checkName("container", k.Container); err != nil {
		return err
	}
	return checkName("object", k.Name)
}
