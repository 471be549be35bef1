package kvstore

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrBadResult is wrapped by DecodeResult's errors.
var ErrBadResult = errors.New("malformed result")

// Code says what a command did. It is part of the result format: the numbers
// stay as they are.
type Code uint8

const (
	Created         Code = 1 + iota // a put of a new key
	Replaced                        // a put over an existing key
	Deleted                         // a delete of one or more existing keys
	NotFound                        // a delete of nothing; nothing changed
	ConditionFailed                 // nothing changed
	BadCommand                      // not a command, or a key or content type out of limits; nothing changed
	Compacted                       // history up to a revision is gone, now or since before
	FutureRevision                  // a compaction beyond the store's revision; nothing changed

	lastCode = FutureRevision
)

var codeNames = [...]string{
	Created: "created", Replaced: "replaced", Deleted: "deleted",
	NotFound: "not found", ConditionFailed: "condition failed", BadCommand: "bad command",
	Compacted: "compacted", FutureRevision: "future revision",
}

func (c Code) String() string {
	if int(c) < len(codeNames) && c != 0 {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Result is what applying a command came to, the same on every member.
type Result struct {
	Code        Code
	Revision    uint64 // the store's, after the command
	ModRevision uint64 // the key's, after the command; 0 when there is no such key
	Prev        *Item  // what was replaced or deleted; only when asked for
	Deleted     uint64 // keys that DeleteRange deleted
}

// A result begins with the lowest version that has what it needs.
const (
	resultPlain   = 1
	resultVersion = 2 // codes above BadCommand, and Deleted
)

func (r *Result) version() byte {
	if r.Code > BadCommand || r.Deleted > 0 {
		return resultVersion
	}
	return resultPlain
}

// AppendResult appends r in the form that travels from the leader to the member
// that forwarded the command: version, code, revision, key's revision, in version
// 2 the number of keys deleted, and 0, or 1 and the previous item (three revisions,
// content type, key, value).
func (m *Machine) AppendResult(dst []byte, r Result) []byte {
	version := r.version()
	dst = append(dst, version, byte(r.Code))
	dst = binary.AppendUvarint(dst, r.Revision)
	dst = binary.AppendUvarint(dst, r.ModRevision)
	if version >= resultVersion {
		dst = binary.AppendUvarint(dst, r.Deleted)
	}
	if r.Prev == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = binary.AppendUvarint(dst, r.Prev.CreateRevision)
	dst = binary.AppendUvarint(dst, r.Prev.ModRevision)
	dst = binary.AppendUvarint(dst, r.Prev.Version)
	dst = appendBytes(dst, r.Prev.ContentType)
	dst = appendBytes(dst, r.Prev.Key)
	return appendBytes(dst, r.Prev.Value)
}

// DecodeResult is AppendResult's inverse. The result keeps nothing of b.
func (m *Machine) DecodeResult(b []byte) (Result, error) {
	if len(b) > 0 && b[0] > resultVersion {
		return Result{}, fmt.Errorf("decode result: %w: version %d, known is %d", ErrNewerVersion, b[0], resultVersion)
	}
	c := cursor{b: b}
	version := c.byte()
	r := Result{Code: Code(c.byte()), Revision: c.uvarint(), ModRevision: c.uvarint()}
	if version >= resultVersion {
		r.Deleted = c.uvarint()
	}
	hasPrev := c.byte()
	if hasPrev == 1 {
		prev := Item{CreateRevision: c.uvarint(), ModRevision: c.uvarint(), Version: c.uvarint()}
		prev.ContentType = string(c.bytes())
		prev.Key = append([]byte{}, c.bytes()...)
		prev.Value = append([]byte{}, c.bytes()...)
		r.Prev = &prev
	}
	if !c.done() || r.Code < Created || r.Code > lastCode || version != r.version() || hasPrev > 1 {
		return Result{}, fmt.Errorf("decode result of %d bytes: %w", len(b), ErrBadResult)
	}
	return r, nil
}
