package kvstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrBadResult is wrapped by DecodeResult's errors.
var ErrBadResult = errors.New("malformed result")

// Code says what a command did. It is part of the result format: the numbers
// stay as they are.
type Code uint8

const (
	Created             Code = 1 + iota // a put of a new key
	Replaced                            // a put over an existing key
	Deleted                             // a delete of one or more existing keys
	NotFound                            // a delete of nothing; nothing changed
	ConditionFailed                     // nothing changed
	BadCommand                          // not a command, or a key or content type out of limits; nothing changed
	Compacted                           // history up to a revision is gone, now or since before
	FutureRevision                      // a compaction beyond the store's revision; nothing changed
	TxnApplied                          // Result.Txn tells what it came to
	LeaseGranted                        // there is a lease more
	LeaseRevoked                        // the lease is gone, and its keys are
	LeaseKept                           // the lease lives on
	LeaseNotFound                       // no such lease, or its deadline has passed; nothing changed
	Expired                             // what was due is gone
	IdempotencyMismatch                 // the idempotency key is another request's; nothing changed
	TooLarge                            // a transaction that would answer with too much; nothing changed
	Found                               // a get in a transaction; of an OpResult only

	lastCode = Found
)

var codeNames = [...]string{
	Created: "created", Replaced: "replaced", Deleted: "deleted",
	NotFound: "not found", ConditionFailed: "condition failed", BadCommand: "bad command",
	Compacted: "compacted", FutureRevision: "future revision",
	TxnApplied: "transaction applied", LeaseGranted: "lease granted", LeaseRevoked: "lease revoked",
	LeaseKept: "lease kept", LeaseNotFound: "lease not found", Expired: "expired",
	IdempotencyMismatch: "idempotency mismatch", TooLarge: "too large", Found: "found",
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
	Replayed    bool          // a request with this idempotency key was applied before, and this is its result
	Revision    uint64        // the store's, after the command
	ModRevision uint64        // the key's, after the command; 0 when there is no such key
	Prev        *Item         // what was replaced or deleted; only when asked for
	Deleted     uint64        // keys that DeleteRange, RevokeLease or Expire deleted
	Lease       LeaseID       // that was granted or kept
	TTL         time.Duration // of that lease
	Txn         *TxnResult    // of a transaction that was applied
}

// A result begins with the lowest version that has what it needs.
const (
	resultPlain   = 1
	resultRange   = 2 // codes above BadCommand, and Deleted
	resultVersion = 3 // codes above FutureRevision, and what else came with leases and transactions
)

// Flags of a result of version 3, of what follows them.
const (
	resultPrev     = 1
	resultTxn      = 2
	resultReplayed = 4 // nothing follows
)

func (r *Result) version() byte {
	switch {
	case r.Code > FutureRevision || r.Replayed || r.Lease != 0 || r.TTL != 0 || r.Txn != nil ||
		r.Prev != nil && (r.Prev.Lease != 0 || r.Prev.TTL != 0):
		return resultVersion
	case r.Code > BadCommand || r.Deleted > 0:
		return resultRange
	}
	return resultPlain
}

// AppendResult appends r in the form that travels from the leader to the member
// that forwarded the command: version, code, revision, key's revision, from version
// 2 on the number of keys deleted, and 0, or 1 and the previous item (three revisions,
// content type, key, value). Version 3 has instead of that: lease, TTL, flags
// (1 = previous item, 2 = transaction, 4 = replayed) and what they say. An item in
// it has a lease and a TTL before the content type.
func (m *Machine) AppendResult(dst []byte, r Result) []byte { return appendResult(dst, &r) }

func appendResult(dst []byte, r *Result) []byte {
	version := r.version()
	dst = append(dst, version, byte(r.Code))
	dst = binary.AppendUvarint(dst, r.Revision)
	dst = binary.AppendUvarint(dst, r.ModRevision)
	if version >= resultRange {
		dst = binary.AppendUvarint(dst, r.Deleted)
	}
	flags := byte(0)
	if r.Prev != nil {
		flags |= resultPrev
	}
	if version >= resultVersion {
		dst = binary.AppendUvarint(dst, uint64(r.Lease))
		dst = binary.AppendUvarint(dst, uint64(r.TTL))
		if r.Txn != nil {
			flags |= resultTxn
		}
		if r.Replayed {
			flags |= resultReplayed
		}
	}
	dst = append(dst, flags)
	if r.Prev != nil {
		dst = appendItem(dst, r.Prev, version)
	}
	if r.Txn != nil {
		dst = appendTxnResult(dst, r.Txn)
	}
	return dst
}

func appendItem(dst []byte, it *Item, version byte) []byte {
	dst = binary.AppendUvarint(dst, it.CreateRevision)
	dst = binary.AppendUvarint(dst, it.ModRevision)
	dst = binary.AppendUvarint(dst, it.Version)
	if version >= resultVersion {
		dst = binary.AppendUvarint(dst, uint64(it.Lease))
		dst = binary.AppendUvarint(dst, uint64(it.TTL))
	}
	dst = appendBytes(dst, it.ContentType)
	dst = appendBytes(dst, it.Key)
	return appendBytes(dst, it.Value)
}

// DecodeResult is AppendResult's inverse. The result keeps nothing of b.
func (m *Machine) DecodeResult(b []byte) (Result, error) { return decodeResult(b) }

func decodeResult(b []byte) (Result, error) {
	if len(b) > 0 && b[0] > resultVersion {
		return Result{}, fmt.Errorf("decode result: %w: version %d, known is %d", ErrNewerVersion, b[0], resultVersion)
	}
	c := cursor{b: b}
	version := c.byte()
	r := Result{Code: Code(c.byte()), Revision: c.uvarint(), ModRevision: c.uvarint()}
	known := byte(resultPrev)
	if version >= resultRange {
		r.Deleted = c.uvarint()
	}
	if version >= resultVersion {
		r.Lease = LeaseID(c.uvarint())
		r.TTL = time.Duration(c.uvarint())
		known = resultPrev | resultTxn | resultReplayed
	}
	flags := c.byte()
	if flags&resultPrev != 0 {
		r.Prev = new(c.item(version))
	}
	if flags&known&resultTxn != 0 {
		r.Txn = c.txnResult()
	}
	r.Replayed = flags&resultReplayed != 0
	if !c.done() || r.Code < Created || r.Code > lastCode || flags&^known != 0 || version != r.version() {
		return Result{}, fmt.Errorf("decode result of %d bytes: %w", len(b), ErrBadResult)
	}
	return r, nil
}

// item takes an item that keeps nothing of the encoding.
func (c *cursor) item(version byte) Item {
	it := Item{CreateRevision: c.uvarint(), ModRevision: c.uvarint(), Version: c.uvarint()}
	if version >= resultVersion {
		it.Lease = LeaseID(c.uvarint())
		it.TTL = time.Duration(c.uvarint())
	}
	it.ContentType = string(c.bytes())
	it.Key = append([]byte{}, c.bytes()...)
	it.Value = append([]byte{}, c.bytes()...)
	return it
}
