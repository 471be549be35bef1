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

// commandVersion is the first byte of every command. A kind, flag or condition
// that older builds do not know takes a new version: they would answer
// BadCommand where newer ones change the state.
const commandVersion = 1

type commandKind uint8

const (
	commandPut    commandKind = 1
	commandDelete commandKind = 2
)

const flagWantPrev = 1

// command is what the log carries. Version 1:
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
// bytes stands for a uvarint length and the bytes; nothing may follow.
type command struct {
	kind        commandKind
	wantPrev    bool
	condition   Condition
	key         []byte
	contentType []byte // type and value alias what was decoded
	value       []byte
}

func validKey(key []byte) bool { return len(key) > 0 && len(key) <= MaxKeyBytes }

// encodeCommand makes the one allocation that a write needs on its way in.
func encodeCommand(kind commandKind, wantPrev bool, cond Condition, key []byte, contentType string, value []byte) []byte {
	const heads = 4 + 4*binary.MaxVarintLen64
	b := make([]byte, 0, heads+len(key)+len(contentType)+len(value))
	flags := byte(0)
	if wantPrev {
		flags |= flagWantPrev
	}
	b = append(b, commandVersion, byte(kind), flags, byte(cond.Kind))
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

// newer reports whether b is a command of a version that this build does not know.
func newer(b []byte) bool { return len(b) > 0 && b[0] > commandVersion }

// decodeCommand reports false for bytes that are no command of version 1.
func decodeCommand(b []byte) (command, bool) {
	c := cursor{b: b}
	if c.byte() != commandVersion {
		return command{}, false
	}
	cmd := command{kind: commandKind(c.byte())}
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
	ok := c.done() &&
		(cmd.kind == commandPut || cmd.kind == commandDelete) &&
		flags&^flagWantPrev == 0 &&
		cmd.condition.Kind <= IfRevision &&
		validKey(cmd.key) &&
		len(cmd.contentType) <= MaxContentTypeBytes
	if !ok {
		return command{}, false
	}
	return cmd, true
}
