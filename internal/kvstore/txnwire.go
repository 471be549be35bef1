package kvstore

import (
	"encoding/binary"
	"time"
)

// Flags of an operation in a transaction's encoding.
const (
	opWantPrev = 1 << iota // of a put or delete
	opTTL                  // of a put
	opLease                // of a put
	opEnd                  // of a range
	opReverse              // of OpRange, as all below
	opKeysOnly
	opCountOnly
)

// appendTxn appends a transaction: the number of its comparisons and these, the
// number of operations of Then and these, the same of Else. A comparison is
//
//	bytes    key
//	byte     target
//	byte     operator
//	bytes    value, or uvarint number
//
// and an operation
//
//	byte     kind
//	byte     flags: 1 = with the previous item, 2 = it has a TTL, 4 = a lease,
//	         8 = an upper bound, 16 = from the end, 32 = only keys, 64 = only their number
//	bytes    key
//	bytes    upper bound, if there is one
//	uvarint  TTL or lease, if there is one
//	bytes    content type, only of a put
//	bytes    value, only of a put
//	uvarint  limit, only of OpRange
func appendTxn(b []byte, t *Txn) []byte {
	b = binary.AppendUvarint(b, uint64(len(t.If)))
	for i := range t.If {
		c := &t.If[i]
		b = append(appendBytes(b, c.Key), byte(c.Target), byte(c.Op))
		if c.Target == CompareValue {
			b = appendBytes(b, c.Value)
		} else {
			b = binary.AppendUvarint(b, c.Number)
		}
	}
	for _, ops := range [...][]Op{t.Then, t.Else} {
		b = binary.AppendUvarint(b, uint64(len(ops)))
		for i := range ops {
			b = ops[i].append(b)
		}
	}
	return b
}

func (op *Op) flags() (flags byte) {
	set := func(flag byte, on bool) {
		if on {
			flags |= flag
		}
	}
	set(opWantPrev, op.WantPrev && (op.Kind == OpPut || op.Kind == OpDelete))
	set(opTTL, op.TTL != 0 && op.Kind == OpPut)
	set(opLease, op.Lease != 0 && op.Kind == OpPut)
	set(opEnd, op.End != nil && (op.Kind == OpRange || op.Kind == OpDeleteRange))
	set(opReverse, op.Reverse && op.Kind == OpRange)
	set(opKeysOnly, op.KeysOnly && op.Kind == OpRange)
	set(opCountOnly, op.CountOnly && op.Kind == OpRange)
	return flags
}

func (op *Op) append(b []byte) []byte {
	flags := op.flags()
	b = appendBytes(append(b, byte(op.Kind), flags), op.Key)
	if flags&opEnd != 0 {
		b = appendBytes(b, op.End)
	}
	if flags&opTTL != 0 {
		b = binary.AppendUvarint(b, uint64(op.TTL))
	}
	if flags&opLease != 0 {
		b = binary.AppendUvarint(b, uint64(op.Lease))
	}
	switch op.Kind {
	case OpPut:
		b = appendBytes(appendBytes(b, op.ContentType), op.Value)
	case OpRange:
		b = binary.AppendUvarint(b, op.Limit)
	}
	return b
}

// txn takes a transaction, whose slices alias the encoding, and reports whether
// it is a good one.
func (c *cursor) txn() (*Txn, bool) {
	t := &Txn{}
	ok := true
	for range c.count(MaxTxnOperations) {
		t.If = append(t.If, c.comparison())
	}
	for _, ops := range [...]*[]Op{&t.Then, &t.Else} {
		for range c.count(MaxTxnOperations) {
			op, good := c.op()
			*ops = append(*ops, op)
			ok = ok && good
		}
	}
	return t, ok && !c.bad && t.Check() == nil
}

// count takes a number that is at most most.
func (c *cursor) count(most uint64) uint64 {
	n := c.uvarint()
	if n > most {
		c.fail()
		return 0
	}
	return n
}

func (c *cursor) comparison() Comparison {
	x := Comparison{Key: c.bytes(), Target: CompareTarget(c.byte()), Op: CompareOp(c.byte())}
	if x.Target == CompareValue {
		x.Value = c.bytes()
	} else {
		x.Number = c.uvarint()
	}
	return x
}

// op reports false for flags that another kind of operation has, or none.
func (c *cursor) op() (Op, bool) {
	op := Op{Kind: OpKind(c.byte())}
	flags := c.byte()
	op.WantPrev = flags&opWantPrev != 0
	op.Reverse = flags&opReverse != 0
	op.KeysOnly = flags&opKeysOnly != 0
	op.CountOnly = flags&opCountOnly != 0
	op.Key = c.bytes()
	if flags&opEnd != 0 {
		op.End = c.bytes()
	}
	if flags&opTTL != 0 {
		op.TTL = time.Duration(c.uvarint())
	}
	if flags&opLease != 0 {
		op.Lease = LeaseID(c.uvarint())
	}
	switch op.Kind {
	case OpPut:
		op.ContentType = string(c.bytes())
		op.Value = c.bytes()
	case OpRange:
		op.Limit = c.uvarint()
	}
	return op, flags == op.flags()
}
