package kvstore

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

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
	case commandRequest:
		ok = cmd.decodeRequest(&c)
	case commandGrant:
		ok = cmd.decodeTTL(&c)
	case commandKeepAlive, commandRevoke:
		cmd.lease = LeaseID(c.uvarint())
		ok = true
	case commandExpire:
		ok = true
	case commandTxn:
		cmd.txn, ok = c.txn()
	}
	if !ok || !c.done() || version != cmd.version() {
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
	ok := cmd.decodeLife(c, flags&^flagWantPrev)
	cmd.key = c.bytes()
	if cmd.kind == commandPut {
		cmd.contentType = c.bytes()
		cmd.value = c.bytes()
	}
	return ok &&
		cmd.condition.Kind <= IfRevision &&
		validKey(cmd.key) &&
		len(cmd.contentType) <= MaxContentTypeBytes
}

func (cmd *command) decodeLife(c *cursor, flags byte) bool {
	switch {
	case flags == 0:
		return true
	case flags == flagTTL && cmd.kind == commandPut:
		return cmd.decodeTTL(c)
	case flags == flagLease && cmd.kind == commandPut:
		cmd.lease = LeaseID(c.uvarint())
		return cmd.lease != 0
	}
	return false
}

func (cmd *command) decodeTTL(c *cursor) bool {
	cmd.ttl = time.Duration(c.uvarint())
	return validTTL(cmd.ttl)
}

// decodeRequest takes all that is left. What kind of command that is, is looked at
// before it is decoded: envelopes within envelopes would go as deep as an entry is
// long.
func (cmd *command) decodeRequest(c *cursor) bool {
	cmd.key = c.bytes()
	if !validRequestKey(cmd.key) || len(c.b) < 2 {
		return false
	}
	if kind := commandKind(c.b[1]); kind == commandRequest || kind == commandExpire {
		return false
	}
	inner, ok := decodeCommand(c.b)
	if !ok {
		return false
	}
	cmd.inner, cmd.sum, cmd.size = &inner, xxhash.Sum64(c.b), len(c.b)
	c.b = nil
	return true
}

func (cmd *command) decodeRange(c *cursor) bool {
	flags := c.byte()
	cmd.key = c.bytes()
	if flags&flagEnd != 0 {
		cmd.end = c.bytes()
	}
	return flags&^flagEnd == 0 && validRange(cmd.key, cmd.end)
}
