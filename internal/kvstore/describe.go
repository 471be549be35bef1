package kvstore

import (
	"fmt"
	"time"
)

// Command is a command of the log, for those who read the log and do not apply
// it. Its slices share the memory of what was described.
type Command struct {
	Kind           string // put, delete, delete_range, compact, grant, keepalive, revoke, expire, txn
	IdempotencyKey []byte // nil: none
	// Fingerprint is of a command with an idempotency key: another command has
	// another one.
	Fingerprint string

	Key         []byte // of a put or delete; of a range, its first
	End         []byte // of a range; nil: no upper bound
	Value       []byte
	ContentType string
	Condition   Condition
	WantPrev    bool
	TTL         time.Duration // of a put or grant
	Lease       LeaseID       // of a put, keepalive or revoke
	Revision    uint64        // of a compaction
	Txn         *Txn
}

var commandNames = [...]string{
	commandPut: "put", commandDelete: "delete", commandDeleteRange: "delete_range", commandCompact: "compact",
	commandGrant: "grant", commandKeepAlive: "keepalive", commandRevoke: "revoke", commandExpire: "expire", commandTxn: "txn",
}

// Describe reads a command. It reports false for bytes that are none, to which
// Apply answers BadCommand.
func Describe(b []byte) (Command, bool) {
	cmd, ok := decodeCommand(b)
	if !ok {
		return Command{}, false
	}
	if cmd.kind != commandRequest {
		return cmd.describe(), true
	}
	c := cmd.inner.describe()
	c.IdempotencyKey, c.Fingerprint = cmd.key, fingerprint(cmd.sum, uint64(cmd.size))
	return c, true
}

func (cmd *command) describe() Command {
	return Command{
		Kind: commandNames[cmd.kind],
		Key:  cmd.key, End: cmd.end, Value: cmd.value, ContentType: string(cmd.contentType),
		Condition: cmd.condition, WantPrev: cmd.wantPrev,
		TTL: cmd.ttl, Lease: cmd.lease, Revision: cmd.revision, Txn: cmd.txn,
	}
}

func fingerprint(sum, size uint64) string { return fmt.Sprintf("%016x-%d", sum, size) }
