package kvstore

func (g *generator) txn() (t Txn) {
	for {
		t = Txn{If: nil, Then: g.branch(), Else: nil}
		for range g.r.IntN(4) {
			t.If = append(t.If, g.comparison())
		}
		if g.chance(2) {
			t.Else = g.branch()
		}
		if !modelTxnBad(&t) {
			return t
		}
	}
}

func (g *generator) branch() (ops []Op) {
	n := g.r.IntN(5)
	if g.chance(100) || g.large && g.chance(5) {
		n = g.r.IntN(60)
	}
	for range n {
		// One that writes what another writes already would spoil all of it.
		if op := g.op(); !writesTwice(append(ops, op)) {
			ops = append(ops, op)
		}
	}
	return ops
}

func (g *generator) op() Op {
	switch g.r.IntN(10) {
	case 0, 1, 2, 3:
		op := Op{
			Kind: OpPut, Key: g.key(), Value: g.value(), ContentType: g.contentType(), WantPrev: g.chance(3),
		}
		if g.large && g.chance(2) { // more reads
			return Op{Kind: OpRange}
		}
		op.TTL, op.Lease = g.life()
		return op
	case 4:
		return Op{Kind: OpGet, Key: g.key()}
	case 5, 6:
		return Op{Kind: OpDelete, Key: g.key(), WantPrev: g.chance(3)}
	case 7:
		op := Op{Kind: OpDeleteRange}
		op.Key, op.End = g.span()
		return op
	}
	op := Op{
		Kind: OpRange, Limit: pick[uint64](g, 0, 1, 2, 3, 10, 1_000, 10_000), Reverse: g.chance(2),
		KeysOnly: g.chance(4), CountOnly: g.chance(6),
	}
	op.Key, op.End = g.span()
	return op
}

func (g *generator) comparison() Comparison {
	c := Comparison{Key: g.key(), Target: CompareModRevision + CompareTarget(g.r.IntN(6)), Op: Equal + CompareOp(g.r.IntN(6))}
	now, found := g.mo.now(string(c.Key))
	switch c.Target {
	case CompareModRevision:
		c.Number = g.near(now.ModRevision)
	case CompareCreateRevision:
		c.Number = g.near(now.CreateRevision)
	case CompareVersion:
		c.Number = g.near(now.Version)
	case CompareLease:
		c.Number = uint64(pick(g, now.Lease, 0, g.lease()))
	case CompareValue:
		c.Value = now.Value
		if !found || g.chance(3) {
			c.Value = g.value()
		}
	case CompareExists:
		c.Op, c.Number = Equal, uint64(g.r.IntN(2))
	}
	return c
}
