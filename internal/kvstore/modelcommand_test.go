package kvstore

import "time"

type modelKind int

const (
	modelBad modelKind = iota // bytes that are no command
	modelPut
	modelDelete
	modelDeleteRange
	modelCompact
	modelGrant
	modelRevoke
	modelKeepAlive
	modelExpire
	modelTxn
)

var modelKindNames = [...]string{
	"bad", "put", "delete", "deleteRange", "compact", "grant", "revoke", "keepAlive", "expire", "txn",
}

func (k modelKind) String() string { return modelKindNames[k] }

// modelCommand is a command twice: spelled out, as the model does it, and in the
// bytes that the machine gets.
type modelCommand struct {
	kind        modelKind
	request     string // idempotency key; "" is none
	key, end    []byte
	value       []byte
	contentType string
	condition   Condition
	wantPrev    bool
	lease       LeaseID
	ttl         time.Duration
	revision    uint64 // of a compaction
	txn         Txn

	inner []byte // without the idempotency key
	bytes []byte // what is in the log
}

// apply does what the log says.
func (m *model) apply(c *modelCommand) (r Result) {
	if c.request != "" {
		r = m.once(c)
	} else {
		r = m.do(c)
	}
	m.tally[c.kind.String()+"/"+r.Code.String()]++
	if r.Replayed {
		m.tally["replayed"]++
	}
	return r
}

func (m *model) do(c *modelCommand) Result {
	switch c.kind {
	case modelPut:
		return m.put(c)
	case modelDelete:
		return m.delete(c)
	case modelDeleteRange:
		return m.deleteRange(c)
	case modelCompact:
		return m.compact(c.revision)
	case modelGrant:
		return m.grant(c.ttl)
	case modelRevoke:
		return m.revoke(c.lease)
	case modelKeepAlive:
		return m.keepAlive(c.lease)
	case modelExpire:
		return m.expire()
	case modelTxn:
		return m.transact(&c.txn)
	}
	return Result{Code: BadCommand, Revision: m.revision}
}

// encode fills in bytes from the rest, unless these are bad ones.
func (c *modelCommand) encode() {
	switch c.kind {
	case modelBad:
		c.inner = c.bytes
	case modelPut:
		c.inner = encodeWrite(commandPut, c.key, c.value, PutOptions{
			ContentType: c.contentType, Condition: c.condition, WantPrev: c.wantPrev, TTL: c.ttl, Lease: c.lease,
		})
	case modelDelete:
		c.inner = encodeCommand(commandDelete, c.wantPrev, c.condition, c.key, "", nil)
	case modelDeleteRange:
		c.inner = encodeDeleteRange(c.key, c.end)
	case modelCompact:
		c.inner = encodeCompact(c.revision)
	case modelGrant:
		c.inner = encodeLease(commandGrant, uint64(c.ttl))
	case modelRevoke:
		c.inner = encodeLease(commandRevoke, uint64(c.lease))
	case modelKeepAlive:
		c.inner = encodeLease(commandKeepAlive, uint64(c.lease))
	case modelExpire:
		c.inner = encodeExpire()
	case modelTxn:
		c.inner = encodeTxn(&c.txn)
	}
	c.bytes = c.inner
	if c.request != "" {
		c.bytes = encodeRequest(c.request, c.inner)
	}
}
