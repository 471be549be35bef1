package kvstore

import "encoding/binary"

// Flags of an operation's result.
const (
	opResultPrev = 1
	opResultItem = 2
	opResultMore = 4
)

// appendTxnResult appends 1 if the comparisons held, else 0, the number of
// operations, and of each
//
//	byte     kind
//	byte     code
//	uvarint  the key's revision
//	uvarint  count
//	byte     flags: 1 = previous item, 2 = item, 4 = there is more
//	         the previous item and the item, if there are
//	uvarint  number of items, and these
func appendTxnResult(dst []byte, t *TxnResult) []byte {
	succeeded := byte(0)
	if t.Succeeded {
		succeeded = 1
	}
	dst = binary.AppendUvarint(append(dst, succeeded), uint64(len(t.Ops)))
	for i := range t.Ops {
		op := &t.Ops[i]
		dst = append(dst, byte(op.Kind), byte(op.Code))
		dst = binary.AppendUvarint(dst, op.ModRevision)
		dst = binary.AppendUvarint(dst, op.Count)
		flags := byte(0)
		if op.Prev != nil {
			flags |= opResultPrev
		}
		if op.Item != nil {
			flags |= opResultItem
		}
		if op.More {
			flags |= opResultMore
		}
		dst = append(dst, flags)
		for _, it := range [...]*Item{op.Prev, op.Item} {
			if it != nil {
				dst = appendItem(dst, it, resultVersion)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(len(op.Items)))
		for j := range op.Items {
			dst = appendItem(dst, &op.Items[j], resultVersion)
		}
	}
	return dst
}

func (c *cursor) txnResult() *TxnResult {
	t := &TxnResult{}
	switch c.byte() {
	case 0:
	case 1:
		t.Succeeded = true
	default:
		c.fail()
	}
	for range c.count(MaxTxnOperations) {
		t.Ops = append(t.Ops, c.opResult())
	}
	return t
}

func (c *cursor) opResult() OpResult {
	op := OpResult{Kind: OpKind(c.byte()), Code: Code(c.byte()), ModRevision: c.uvarint(), Count: c.uvarint()}
	flags := c.byte()
	if flags&opResultPrev != 0 {
		op.Prev = new(c.item(resultVersion))
	}
	if flags&opResultItem != 0 {
		op.Item = new(c.item(resultVersion))
	}
	op.More = flags&opResultMore != 0
	// An item takes some bytes: what is left bounds how many there can be.
	for range c.count(uint64(len(c.b))) {
		if c.bad {
			break
		}
		op.Items = append(op.Items, c.item(resultVersion))
	}
	if op.Kind < OpPut || op.Kind > OpRange || op.Code > lastCode || flags > opResultPrev|opResultItem|opResultMore {
		c.fail()
	}
	return op
}
