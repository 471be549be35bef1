package kvstore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
)

// MaxTxnOperations is how many comparisons and operations, of both branches
// together, a transaction can have.
const MaxTxnOperations = 128

const (
	defaultTxnLimit = 1_000  // of a range without a Limit
	maxTxnLimit     = 10_000 // of a range's Limit
)

// ErrBadTxn is wrapped by the error for a transaction that no member would
// apply; its text says what is wrong. It was surely not applied.
var ErrBadTxn = errors.New("malformed transaction")

// Txn is a transaction: if all comparisons hold it does what Then says, and
// otherwise what Else does, all of it in one revision or nothing. An operation
// sees what those before it wrote.
type Txn struct {
	If         []Comparison
	Then, Else []Op
}

// The kinds are part of the command format: the numbers stay as they are.
type (
	// CompareTarget is what of a key is compared.
	CompareTarget uint8
	// CompareOp is how it is compared.
	CompareOp uint8
	// OpKind is what an operation does.
	OpKind uint8
)

// Targets of a Comparison. A key that is not there has number 0 of each, and no
// value: a comparison of that does not hold, whatever its Op.
const (
	CompareModRevision CompareTarget = 1 + iota
	CompareCreateRevision
	CompareVersion
	CompareValue
	CompareLease
	CompareExists // Number 1: the key must exist, 0: it must not; Op must be Equal
)

// What the key's side of a Comparison, which is the left one, must be.
const (
	Equal CompareOp = 1 + iota
	NotEqual
	Greater
	Less
	GreaterOrEqual
	LessOrEqual
)

// Kinds of an Op.
const (
	OpPut OpKind = 1 + iota
	OpGet
	OpDelete
	OpDeleteRange
	OpRange
	OpOther // of a Request only
)

// Comparison is one condition of a transaction.
type Comparison struct {
	Key    []byte
	Target CompareTarget
	Op     CompareOp
	Number uint64 // what to compare with, of all targets but CompareValue
	Value  []byte // of CompareValue
}

// Op is one operation of a transaction. Fields that its kind does not have are ignored.
type Op struct {
	Kind        OpKind
	Key         []byte // of a put, get, delete; first key of a range
	End         []byte // of OpRange and OpDeleteRange; nil: no upper bound
	Value       []byte // of a put, as the next three
	ContentType string
	TTL         time.Duration
	Lease       LeaseID // not beside a TTL
	WantPrev    bool    // of a put or delete
	Limit       uint64  // of OpRange, as all below; 0: 1,000; at most 10,000
	Reverse     bool
	KeysOnly    bool // items without values
	CountOnly   bool // no items
}

// TxnResult is what a transaction came to.
type TxnResult struct {
	Succeeded bool // whether Then was applied
	Ops       []OpResult
}

// OpResult is what one operation of a transaction came to.
type OpResult struct {
	Kind        OpKind
	Code        Code   // Created, Replaced, Deleted, Found, NotFound; 0 of a range
	ModRevision uint64 // of a put
	Prev        *Item  // what was replaced or deleted; only when asked for
	Item        *Item  // of a get
	Items       []Item // of a range; at most 4 MiB of them
	Count       uint64 // of a range: Items, or with CountOnly all there are; of a delete: keys deleted
	More        bool   // of a range: there is more than Items
}

// Txn applies a transaction. It blocks until that is durable and applied, and
// keeps no slice of it. Result.Code is TxnApplied, with Result.Txn, or, with
// nothing applied, LeaseNotFound for a put with a lease that is not there, or
// TooLarge if its gets, ranges and previous items come to more than 16 MiB, or its
// ranges go through more than 1,048,576 keys. The error may also wrap ErrBadTxn.
func (db *DB) Txn(ctx context.Context, t Txn, o WriteOptions) (Result, error) {
	if err := t.Check(); err != nil {
		return Result{}, err
	}
	puts := func(op Op) bool { return op.Kind == OpPut }
	if slices.ContainsFunc(t.Then, puts) || slices.ContainsFunc(t.Else, puts) {
		if err := db.room(ctx, o.IdempotencyKey); err != nil {
			return Result{}, err
		}
	}
	return db.propose(ctx, encodeTxn(&t), o.IdempotencyKey)
}

// holds judges the comparison on what is stored; nil means that nothing is.
func (c *Comparison) holds(it *item) bool {
	if c.Target == CompareValue {
		return it != nil && c.Op.holds(bytes.Compare(it.value(), c.Value))
	}
	var n uint64
	if it != nil {
		switch c.Target {
		case CompareModRevision:
			n = it.modRevision
		case CompareCreateRevision:
			n = it.createRevision
		case CompareVersion:
			n = it.version
		case CompareLease:
			n = uint64(it.traits.lease)
		case CompareExists:
			n = 1
		}
	}
	switch {
	case n < c.Number:
		return c.Op.holds(-1)
	case n > c.Number:
		return c.Op.holds(1)
	}
	return c.Op.holds(0)
}

// holds takes what cmp.Compare returns.
func (o CompareOp) holds(order int) bool {
	switch o {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Greater:
		return order > 0
	case Less:
		return order < 0
	case GreaterOrEqual:
		return order >= 0
	case LessOrEqual:
		return order <= 0
	}
	return false
}
