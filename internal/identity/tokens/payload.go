package tokens

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/mekcloud/mek/internal/identity"
)

// The first element of every payload; a change of layout takes a new number, and
// the old one is read until its last token expired. Tokens of users for whom an
// identity provider vouched have one more field.
const (
	payloadVersion   = 1
	federatedVersion = 2
)

// Flags of a payload.
const flagSystem = 1

const (
	payloadFields = 11
	maxList       = 16
)

var errPayload = errors.New("not a token payload of this version")

// encodePayload writes: version, user, methods, flags, project, domain, trust,
// application credential, OAuth access token, times (issued µs, life s), audit ids,
// and of federated ones: provider, protocol, groups.
func encodePayload(t identity.Token) []byte {
	b := make([]byte, 0, 160)
	fields, version := uint32(payloadFields), payloadVersion
	if t.Federation != nil {
		fields, version = payloadFields+1, federatedVersion
	}
	b = msgp.AppendArrayHeader(b, fields)
	b = msgp.AppendInt(b, version)
	b = appendID(b, t.UserID)
	b = appendList(b, t.Methods)
	flags := 0
	if t.Scope.System {
		flags |= flagSystem
	}
	b = msgp.AppendInt(b, flags)
	for _, s := range []string{t.Scope.ProjectID, t.Scope.DomainID, t.Scope.TrustID, t.AppCredentialID, t.OAuthID} {
		b = appendID(b, s)
	}
	b = msgp.AppendArrayHeader(b, 2)
	b = msgp.AppendInt64(b, t.IssuedAt.UnixMicro())
	b = msgp.AppendInt64(b, t.ExpiresAt.Unix())
	b = appendList(b, t.AuditIDs)
	if f := t.Federation; f != nil {
		b = msgp.AppendArrayHeader(b, 3)
		b = msgp.AppendString(b, f.ProviderID)
		b = msgp.AppendString(b, f.ProtocolID)
		b = msgp.AppendArrayHeader(b, uint32(len(f.Groups)))
		for _, g := range f.Groups {
			b = appendID(b, g)
		}
	}
	return b
}

// decodePayload is the inverse. It allocates no more than the input is long.
func decodePayload(b []byte) (identity.Token, error) {
	var t identity.Token
	r := reader{b: b}
	fields, version := r.array(), r.int()
	federated := fields == payloadFields+1 && version == federatedVersion
	if !federated && (fields != payloadFields || version != payloadVersion) {
		return t, errPayload
	}
	t.UserID = r.id()
	t.Methods = r.list()
	t.Scope.System = r.int()&flagSystem != 0
	t.Scope.ProjectID = r.id()
	t.Scope.DomainID = r.id()
	t.Scope.TrustID = r.id()
	t.AppCredentialID = r.id()
	t.OAuthID = r.id()
	if r.array() != 2 {
		return identity.Token{}, errPayload
	}
	t.IssuedAt = time.UnixMicro(r.int()).UTC()
	t.ExpiresAt = time.Unix(r.int(), 0).UTC()
	t.AuditIDs = r.list()
	if federated {
		t.Federation = r.federation()
	}
	if r.err != nil || len(r.b) != 0 || t.UserID == "" || len(t.AuditIDs) == 0 {
		return identity.Token{}, errPayload
	}
	return t, nil
}

// receiptVersion is the first element of a receipt, which no token begins with.
const receiptVersion = 64

// encodeReceipt writes: version, user, methods, times (issued µs, end s).
func encodeReceipt(p identity.Receipt) []byte {
	b := msgp.AppendArrayHeader(make([]byte, 0, 96), 5)
	b = msgp.AppendInt(b, receiptVersion)
	b = appendID(b, p.UserID)
	b = appendList(b, p.Methods)
	b = msgp.AppendInt64(b, p.IssuedAt.UnixMicro())
	return msgp.AppendInt64(b, p.ExpiresAt.Unix())
}

// decodeReceipt is the inverse.
func decodeReceipt(b []byte) (identity.Receipt, error) {
	r := reader{b: b}
	if r.array() != 5 || r.int() != receiptVersion {
		return identity.Receipt{}, errPayload
	}
	p := identity.Receipt{UserID: r.id(), Methods: r.list()}
	p.IssuedAt, p.ExpiresAt = time.UnixMicro(r.int()).UTC(), time.Unix(r.int(), 0).UTC()
	if r.err != nil || len(r.b) != 0 || p.UserID == "" || len(p.Methods) == 0 {
		return identity.Receipt{}, errPayload
	}
	return p, nil
}

// appendID writes ids of Keystone's usual form in half the size.
func appendID(b []byte, id string) []byte {
	if len(id) == 32 {
		if raw, err := hex.DecodeString(id); err == nil && hex.EncodeToString(raw) == id {
			return msgp.AppendBytes(b, raw)
		}
	}
	return msgp.AppendString(b, id)
}

func appendList(b []byte, list []string) []byte {
	b = msgp.AppendArrayHeader(b, uint32(len(list)))
	for _, s := range list {
		b = msgp.AppendString(b, s)
	}
	return b
}

// reader keeps the first error, so that a layout reads as one column.
type reader struct {
	b   []byte
	err error
}

func (r *reader) array() uint32 {
	if r.err != nil {
		return 0
	}
	var n uint32
	n, r.b, r.err = msgp.ReadArrayHeaderBytes(r.b)
	return n
}

func (r *reader) int() int64 {
	if r.err != nil {
		return 0
	}
	var n int64
	n, r.b, r.err = msgp.ReadInt64Bytes(r.b)
	return n
}

func (r *reader) string() string {
	if r.err != nil {
		return ""
	}
	var s string
	s, r.b, r.err = msgp.ReadStringBytes(r.b)
	return s
}

func (r *reader) id() string {
	if r.err != nil {
		return ""
	}
	if msgp.NextType(r.b) != msgp.BinType {
		return r.string()
	}
	var raw []byte
	raw, r.b, r.err = msgp.ReadBytesZC(r.b)
	if r.err == nil && len(raw) != 16 {
		r.err = errPayload
	}
	return hex.EncodeToString(raw)
}

func (r *reader) list() []string { return r.several(maxList, r.string) }

// several reads a list of at most most elements.
func (r *reader) several(most uint32, one func() string) []string {
	n := r.array()
	if n > most {
		r.err = errPayload
	}
	if r.err != nil || n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = one()
	}
	return out
}

func (r *reader) federation() *identity.Federation {
	if r.array() != 3 {
		r.err = errPayload
	}
	return &identity.Federation{ProviderID: r.string(), ProtocolID: r.string(), Groups: r.several(identity.MaxFederatedGroups, r.id)}
}
