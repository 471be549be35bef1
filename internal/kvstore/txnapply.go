package kvstore

const (
	// txnMost is how many bytes of keys and values a transaction can answer with.
	txnMost = 16 << 20

	// rangeMost is how many one range of it can.
	rangeMost = 4 << 20

	// txnVisits is how many keys the ranges of a transaction can go through, those
	// that were deleted and are history included: what is applied holds up all
	// writes behind it, a million keys for a tenth of a second.
	txnVisits = 1 << 20
)

// txnRun is one branch of a transaction while it is applied.
type txnRun struct {
	m        *Machine
	revision uint64 // before
	size     uint64 // of the items in the answer
	visits   int    // keys that ranges went through
}

// tooLarge says that the transaction asks for more than can be.
func (x *txnRun) tooLarge() bool { return x.size > txnMost || x.visits > txnVisits }

func (m *Machine) txn(t *Txn) Result {
	s := &m.state
	res := &TxnResult{Succeeded: true}
	for i := range t.If {
		if c := &t.If[i]; !c.holds(s.tree.get(c.Key).live()) {
			res.Succeeded = false
			break
		}
	}
	ops := t.Then
	if !res.Succeeded {
		ops = t.Else
	}
	for i := range ops {
		if op := &ops[i]; op.Kind == OpPut && op.Lease != 0 {
			if _, ok := s.leases.find(op.Lease, s.clock); !ok {
				return s.unchanged(LeaseNotFound, nil)
			}
		}
	}
	var saved *state
	if s.mayAnswer(ops) > txnMost {
		saved = s.save()
	}
	x := txnRun{m: m, revision: s.revision}
	changes := s.events.n
	for i := range ops {
		res.Ops = append(res.Ops, x.op(&ops[i]))
		if x.tooLarge() {
			s.revert(saved)
			return s.unchanged(TooLarge, nil)
		}
	}
	s.events.sort(changes)
	return Result{Code: TxnApplied, Revision: s.revision, Txn: res}
}

// mayAnswer returns a bound of what the operations can answer with, which is
// found without applying them. What an operation sees was there before or is
// put by another of them.
func (s *state) mayAnswer(ops []Op) (size uint64) {
	var puts uint64
	for i := range ops {
		if op := &ops[i]; op.Kind == OpPut {
			puts += uint64(len(op.Key) + len(op.Value))
		}
	}
	for i := range ops {
		switch op := &ops[i]; {
		case op.Kind == OpRange:
			size += txnMost + 1 // what it goes through is known only then
		case op.Kind == OpGet || op.WantPrev:
			size += puts
			if it := s.tree.get(op.Key); it != nil {
				size += it.size()
			}
		}
	}
	return size
}

// save returns what revert goes back to. It costs nothing, but what is changed
// from then on is copied first.
func (s *state) save() *state {
	s.tree.freeze()
	s.leases.attached.freeze()
	s.leases.deadlines.freeze()
	saved := *s
	return &saved
}

func (s *state) revert(saved *state) {
	s.events.cut(saved.events.n)
	*s = *saved
}

// raise begins the revision of the transaction before its first change.
func (x *txnRun) raise() {
	if s := &x.m.state; s.revision == x.revision {
		s.raise()
	}
}

func (x *txnRun) op(op *Op) OpResult {
	switch op.Kind {
	case OpPut:
		return x.put(op)
	case OpGet:
		return x.get(op)
	case OpDelete:
		return x.delete(op)
	case OpDeleteRange:
		r := OpResult{Kind: op.Kind, Code: NotFound}
		if r.Count = x.m.state.buryRange(op.Key, op.End, x.raise); r.Count > 0 {
			r.Code = Deleted
		}
		return r
	case OpRange:
		return x.list(op)
	}
	panic("kvstore: an operation of no kind")
}

func (x *txnRun) put(op *Op) OpResult {
	s := &x.m.state
	x.raise()
	it := newItem(op.Key, op.Value, x.m.traits([]byte(op.ContentType), op.TTL, op.Lease))
	r := s.put(s.tree.find(op.Key), it, op.WantPrev)
	x.answer(r.Prev)
	return OpResult{Kind: op.Kind, Code: r.Code, ModRevision: r.ModRevision, Prev: r.Prev}
}

func (x *txnRun) get(op *Op) OpResult {
	it := x.m.state.tree.get(op.Key).live()
	if it == nil {
		return OpResult{Kind: op.Kind, Code: NotFound}
	}
	r := OpResult{Kind: op.Kind, Code: Found, Item: new(it.export())}
	x.answer(r.Item)
	return r
}

func (x *txnRun) delete(op *Op) OpResult {
	s := &x.m.state
	at := s.tree.find(op.Key)
	old := at.item().live()
	if old == nil {
		return OpResult{Kind: op.Kind, Code: NotFound}
	}
	x.raise()
	s.tree.set(at, s.bury(old, untyped))
	r := OpResult{Kind: op.Kind, Code: Deleted, Count: 1}
	if op.WantPrev {
		r.Prev = new(old.export())
		x.answer(r.Prev)
	}
	return r
}

func (x *txnRun) list(op *Op) OpResult {
	r := OpResult{Kind: op.Kind}
	walk, limit, size := ascend, op.Limit, uint64(0)
	if op.Reverse {
		walk = descend
	}
	if limit == 0 {
		limit = defaultTxnLimit
	}
	walk(x.m.state.tree.root, op.Key, op.End, func(it *item) bool {
		if x.visits++; x.visits > txnVisits {
			return false
		}
		if it = it.live(); it == nil {
			return true
		}
		if op.CountOnly {
			r.Count++
			return true
		}
		item := it.export()
		if op.KeysOnly {
			item.Value = nil
		}
		n := uint64(len(item.Key) + len(item.Value))
		if r.More = uint64(len(r.Items)) == limit || size+n > rangeMost; !r.More {
			r.Items = append(r.Items, item)
			r.Count++
			size += n
		}
		return !r.More
	})
	x.size += size
	return r
}

// answer counts an item of the answer; nil is none.
func (x *txnRun) answer(it *Item) {
	if it != nil {
		x.size += uint64(len(it.Key) + len(it.Value))
	}
}
