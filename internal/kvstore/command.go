package kvstore

import (
	"encoding/binary"
	"errors"
	"time"
)

// MaxKeyBytes is the length of the longest key; the shortest has one byte.
const MaxKeyBytes = 4096

// MaxContentTypeBytes is the length of the longest content type.
const MaxContentTypeBytes = 1024

// ErrNewerVersion is wrapped by the errors for a command, a result or a
// snapshot that a newer build wrote: this one has to be upgraded.
var ErrNewerVersion = errors.New("written by a newer version of kvd; upgrade this member")

// commandVersion is the highest that the first byte of a command can be. A kind,
// flag or condition that older builds do not know takes a new version: they would
// answer BadCommand where newer ones change the state. Each kind is written in the
// version that brought it, so that older builds know what they can.
const commandVersion = 3

type commandKind uint8

const (
	commandPut         commandKind = 1
	commandDelete      commandKind = 2
	commandDeleteRange commandKind = 3 // since version 2, as the next
	commandCompact     commandKind = 4
	commandRequest     commandKind = 5 // since version 3, as all below
	commandGrant       commandKind = 6
	commandKeepAlive   commandKind = 7
	commandRevoke      commandKind = 8
	commandExpire      commandKind = 9
	commandTxn         commandKind = 10
)

const (
	flagWantPrev = 1 // of a put or delete
	flagTTL      = 2 // of a put; since version 3, as the next
	flagLease    = 4
	flagEnd      = 1 // of a range
)

// version is the one that brought the kind, or what the command uses of it.
func (cmd *command) version() byte {
	switch {
	case cmd.kind >= commandRequest || cmd.ttl != 0 || cmd.lease != 0:
		return 3
	case cmd.kind >= commandDeleteRange:
		return 2
	}
	return 1
}

// command is what the log carries. Version 1, a put or a delete:
//
//	byte     version
//	byte     kind
//	byte     flags: 1 = the result has the previous item
//	byte     kind of the condition
//	uvarint  revision of the condition, only of IfRevision
//	bytes    key
//	bytes    content type, only of a put
//	bytes    value, only of a put
//
// Version 2, a delete of a range:
//
//	byte     version
//	byte     kind
//	byte     flags: 1 = there is an upper bound
//	bytes    first key
//	bytes    upper bound, if there is one
//
// and a compaction:
//
//	byte     version
//	byte     kind
//	uvarint  revision
//
// Version 3, a put of a key that does not last: kind and flags as in version 1,
// with 2 = it has a TTL or 4 = it has a lease, and behind the condition
//
//	uvarint  the TTL in nanoseconds, or the lease
//
// a command that has an idempotency key:
//
//	byte     version
//	byte     kind
//	bytes    the idempotency key
//	         the command, of any kind but this one and an expiry
//
// a grant, keepalive or revocation of a lease, and an expiry:
//
//	byte     version
//	byte     kind
//	uvarint  the TTL, or the lease, or nothing
//
// and a transaction, for which see appendTxn. A command with an idempotency key
// begins with the version of what is in it where that is higher, so that no member
// takes for a bad command what it does not know.
//
// bytes stands for a uvarint length and the bytes; nothing may follow.
type command struct {
	kind        commandKind
	wantPrev    bool
	condition   Condition
	key         []byte // of a range, the first; all slices alias what was decoded
	end         []byte // of a range, the first behind it; nil: there is none
	contentType []byte
	value       []byte
	revision    uint64 // of a compaction
	ttl         time.Duration
	lease       LeaseID
	txn         *Txn
	inner       *command // of a request, whose idempotency key is key
	sum         uint64   // of what inner was decoded from
	size        int      // of that
}

func validKey(key []byte) bool { return len(key) > 0 && len(key) <= MaxKeyBytes }

func validRange(start, end []byte) bool { return len(start) <= MaxKeyBytes && len(end) <= MaxKeyBytes }

// encodeCommand encodes a put that lasts or a delete.
func encodeCommand(kind commandKind, wantPrev bool, cond Condition, key []byte, contentType string, value []byte) []byte {
	return encodeWrite(kind, key, value, PutOptions{ContentType: contentType, Condition: cond, WantPrev: wantPrev})
}

// encodeWrite encodes a put or a delete. It makes the one allocation that a write needs on its way in.
func encodeWrite(kind commandKind, key, value []byte, o PutOptions) []byte {
	const heads = 4 + 2*binary.MaxVarintLen64 + 2 + 2 + 5 // four bytes, two numbers, three lengths
	b := make([]byte, 0, heads+len(key)+len(o.ContentType)+len(value))
	cmd := command{kind: kind, ttl: o.TTL, lease: o.Lease}
	flags := byte(0)
	if o.WantPrev {
		flags |= flagWantPrev
	}
	if o.TTL != 0 {
		flags |= flagTTL
	}
	if o.Lease != 0 {
		flags |= flagLease
	}
	b = append(b, cmd.version(), byte(kind), flags, byte(o.Condition.Kind))
	if o.Condition.Kind == IfRevision {
		b = binary.AppendUvarint(b, o.Condition.Revision)
	}
	if o.TTL != 0 {
		b = binary.AppendUvarint(b, uint64(o.TTL))
	}
	if o.Lease != 0 {
		b = binary.AppendUvarint(b, uint64(o.Lease))
	}
	b = appendBytes(b, key)
	if kind == commandPut {
		b = appendBytes(b, o.ContentType)
		b = appendBytes(b, value)
	}
	return b
}

func encodeDeleteRange(start, end []byte) []byte {
	if end == nil {
		return appendBytes([]byte{2, byte(commandDeleteRange), 0}, start)
	}
	return appendBytes(appendBytes([]byte{2, byte(commandDeleteRange), flagEnd}, start), end)
}

func encodeCompact(revision uint64) []byte {
	return binary.AppendUvarint([]byte{2, byte(commandCompact)}, revision)
}

// encodeLease encodes a grant, whose number is the TTL, or what is done to the
// lease of that number.
func encodeLease(kind commandKind, number uint64) []byte {
	return binary.AppendUvarint([]byte{3, byte(kind)}, number)
}

func encodeExpire() []byte { return []byte{3, byte(commandExpire)} }

func encodeTxn(t *Txn) []byte { return appendTxn([]byte{3, byte(commandTxn)}, t) }

// encodeRequest gives cmd an idempotency key.
func encodeRequest(key string, cmd []byte) []byte {
	b := make([]byte, 0, 2+binary.MaxVarintLen64+len(key)+len(cmd))
	version := byte(3)
	if len(cmd) > 0 {
		version = max(version, cmd[0])
	}
	b = append(b, version, byte(commandRequest))
	return append(appendBytes(b, key), cmd...)
}
