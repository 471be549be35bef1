package kvstore

import (
	"encoding/binary"
	"errors"
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
const commandVersion = 2

type commandKind uint8

const (
	commandPut         commandKind = 1
	commandDelete      commandKind = 2
	commandDeleteRange commandKind = 3 // since version 2, as all below
	commandCompact     commandKind = 4
)

func (k commandKind) version() byte {
	if k >= commandDeleteRange {
		return 2
	}
	return 1
}

const (
	flagWantPrev = 1 // of a put or delete
	flagEnd      = 1 // of a range
)

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
}

func validKey(key []byte) bool { return len(key) > 0 && len(key) <= MaxKeyBytes }

func validRange(start, end []byte) bool { return len(start) <= MaxKeyBytes && len(end) <= MaxKeyBytes }

// encodeCommand encodes a put or a delete. It makes the one allocation that a write needs on its way in.
func encodeCommand(kind commandKind, wantPrev bool, cond Condition, key []byte, contentType string, value []byte) []byte {
	const heads = 4 + 4*binary.MaxVarintLen64
	b := make([]byte, 0, heads+len(key)+len(contentType)+len(value))
	flags := byte(0)
	if wantPrev {
		flags |= flagWantPrev
	}
	b = append(b, kind.version(), byte(kind), flags, byte(cond.Kind))
	if cond.Kind == IfRevision {
		b = binary.AppendUvarint(b, cond.Revision)
	}
	b = appendBytes(b, key)
	if kind == commandPut {
		b = appendBytes(b, contentType)
		b = appendBytes(b, value)
	}
	return b
}

func encodeDeleteRange(start, end []byte) []byte {
	if end == nil {
		return appendBytes([]byte{commandVersion, byte(commandDeleteRange), 0}, start)
	}
	return appendBytes(appendBytes([]byte{commandVersion, byte(commandDeleteRange), flagEnd}, start), end)
}

func encodeCompact(revision uint64) []byte {
	return binary.AppendUvarint([]byte{commandVersion, byte(commandCompact)}, revision)
}

// newer reports whether b is a command of a version that this build does not know.
func newer(b []byte) bool { return len(b) > 0 && b[0] > commandVersion }

// decodeCommand reports false for bytes that are no command.
func decodeCommand(b []byte) (command, bool) {
	c := cursor{b: b}
	version := c.byte()
	cmd := command{kind: commandKind(c.byte())}
	ok := false
	switch cmd.kind {
	case commandPut, commandDelete:
		ok = cmd.decodeWrite(&c)
	case commandDeleteRange:
		ok = cmd.decodeRange(&c)
	case commandCompact:
		cmd.revision = c.uvarint()
		ok = true
	}
	if !ok || !c.done() || version != cmd.kind.version() {
		return command{}, false
	}
	return cmd, true
}

func (cmd *command) decodeWrite(c *cursor) bool {
	flags := c.byte()
	cmd.wantPrev = flags&flagWantPrev != 0
	cmd.condition.Kind = ConditionKind(c.byte())
	if cmd.condition.Kind == IfRevision {
		cmd.condition.Revision = c.uvarint()
	}
	cmd.key = c.bytes()
	if cmd.kind == commandPut {
		cmd.contentType = c.bytes()
		cmd.value = c.bytes()
	}
	return flags&^flagWantPrev == 0 &&
		cmd.condition.Kind <= IfRevision &&
		validKey(cmd.key) &&
		len(cmd.contentType) <= MaxContentTypeBytes
}

func (cmd *command) decodeRange(c *cursor) bool {
	flags := c.byte()
	cmd.key = c.bytes()
	if flags&flagEnd != 0 {
		cmd.end = c.bytes()
	}
	return flags&^flagEnd == 0 && validRange(cmd.key, cmd.end)
}
