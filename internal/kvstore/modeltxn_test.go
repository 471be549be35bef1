package kvstore

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// What one range and all reads of a transaction may return.
const (
	modelRangeLimit = 1_000
	modelRangeBytes = 4 << 20
	modelTxnBytes   = 16 << 20
)

// transact works on a copy, which takes the model's place only if all went well.
func (m *model) transact(t *Txn) Result {
	c := *m
	c.versions = maps.Clone(m.versions)
	for key, versions := range c.versions {
		c.versions[key] = slices.Clip(versions)
	}
	ok := true
	for i := range t.If {
		ok = ok && m.compare(&t.If[i])
	}
	ops := t.Then
	if !ok {
		ops = t.Else
	}
	c.raise()
	changed, read := false, 0
	res := &TxnResult{Succeeded: ok}
	m.tally[fmt.Sprintf("succeeded/%v", ok)]++
	for i := range ops {
		op := &ops[i]
		if op.Kind == OpPut && op.Lease != 0 && !m.alive(op.Lease) {
			return Result{Code: LeaseNotFound, Revision: m.revision}
		}
		r := c.operate(op)
		changed = changed || r.Code == Created || r.Code == Replaced || r.Code == Deleted
		read += txnReads(&r)
		res.Ops = append(res.Ops, r)
	}
	if read > modelTxnBytes {
		return Result{Code: TooLarge, Revision: m.revision}
	}
	if changed {
		*m = c
	}
	return Result{Code: TxnApplied, Revision: m.revision, Txn: res}
}

// operate does one operation; what it changes gets the revision that the copy has.
func (m *model) operate(op *Op) OpResult {
	r := OpResult{Kind: op.Kind}
	old, found := m.now(string(op.Key))
	switch op.Kind {
	case OpPut:
		c := modelCommand{key: op.Key, value: op.Value, contentType: op.ContentType, ttl: op.TTL, lease: op.Lease}
		_, before := m.write(&c)
		r.Code, r.ModRevision = Created, m.revision
		if found {
			r.Code = Replaced
		}
		if op.WantPrev {
			r.Prev = before
		}
	case OpGet:
		r.Code = NotFound
		if found {
			r.Code, r.Item = Found, &old.Item
		}
	case OpDelete:
		r.Code = NotFound
		if found {
			r.Code, r.Count = Deleted, 1
			if op.WantPrev {
				r.Prev = &old.Item
			}
			m.bury(string(op.Key), EventDelete)
		}
	case OpDeleteRange:
		r.Code = NotFound
		for _, it := range m.list(op.Key, op.End, m.revision) {
			m.bury(string(it.Key), EventDelete)
			r.Code = Deleted
			r.Count++
		}
	case OpRange:
		m.rangeOver(op, &r)
	}
	return r
}

func (m *model) rangeOver(op *Op, r *OpResult) {
	all := m.list(op.Key, op.End, m.revision)
	if op.CountOnly {
		r.Count = uint64(len(all))
		return
	}
	if op.Reverse {
		slices.Reverse(all)
	}
	limit, size := cmp.Or(op.Limit, modelRangeLimit), 0
	for _, it := range all {
		if op.KeysOnly {
			it.Value = nil
		}
		size += len(it.Key) + len(it.Value)
		if uint64(len(r.Items)) == limit || size > modelRangeBytes {
			r.More = true
			return
		}
		r.Items = append(r.Items, it)
		r.Count++
	}
}

// txnReads is what an operation's result counts of the limit for all of them.
func txnReads(r *OpResult) (n int) {
	items := slices.Clone(r.Items)
	for _, it := range []*Item{r.Prev, r.Item} {
		if it != nil {
			items = append(items, *it)
		}
	}
	for _, it := range items {
		n += len(it.Key) + len(it.Value)
	}
	return n
}

// compare judges one comparison on the state before the transaction.
func (m *model) compare(c *Comparison) bool {
	v, found := m.now(string(c.Key))
	var order int
	switch c.Target {
	case CompareModRevision:
		order = cmp.Compare(v.ModRevision, c.Number)
	case CompareCreateRevision:
		order = cmp.Compare(v.CreateRevision, c.Number)
	case CompareVersion:
		order = cmp.Compare(v.Version, c.Number)
	case CompareLease:
		order = cmp.Compare(uint64(v.Lease), c.Number)
	case CompareValue:
		if !found {
			return false
		}
		order = bytes.Compare(v.Value, c.Value)
	case CompareExists:
		return found == (c.Number == 1)
	}
	switch c.Op {
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
	}
	return order <= 0
}

// modelTxnBad reports whether the transaction is one that nobody may do.
func modelTxnBad(t *Txn) bool {
	if len(t.If)+len(t.Then)+len(t.Else) > MaxTxnOperations {
		return true
	}
	return writesTwice(t.Then) || writesTwice(t.Else)
}

// writesTwice compares each write of a branch with each other.
func writesTwice(ops []Op) bool {
	for i := range ops {
		for j := range i {
			if overlap(&ops[i], &ops[j]) {
				return true
			}
		}
	}
	return false
}

// overlap reports whether two operations may write one key.
func overlap(a, b *Op) bool {
	as, ae, aw := reach(a)
	bs, be, bw := reach(b)
	return aw && bw && (ae == nil || as < *ae) && (be == nil || bs < *be) && (be == nil || as < *be) && (ae == nil || bs < *ae)
}

// reach returns from which key on an operation writes, and before which; nil: all behind.
func reach(op *Op) (start string, end *string, writes bool) {
	switch op.Kind {
	case OpPut, OpDelete:
		return string(op.Key), new(string(op.Key) + "\x00"), true
	case OpDeleteRange:
		if op.End == nil {
			return string(op.Key), nil, true
		}
		return string(op.Key), new(string(op.End)), true
	}
	return "", nil, false
}
