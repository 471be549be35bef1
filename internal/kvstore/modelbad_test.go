package kvstore

import (
	"encoding/binary"
	"strings"
)

// bad returns bytes that are no command, most of which would be if a little were
// otherwise.
func (g *generator) bad() modelCommand {
	c := modelCommand{kind: modelBad}
	key, long := g.key(), make([]byte, MaxKeyBytes+1)
	wrongTTL := pick(g, MinTTL-1, MaxTTL+1, -1, 1)
	switch g.r.IntN(14) {
	case 0:
		c.bytes = pick(g, nil, []byte{0}, []byte{1}, []byte{3}, []byte("\x00k"), []byte("\x03\x0bk"))
	case 1: // cut
		good := g.plain()
		for good.kind == modelBad {
			good = g.plain()
		}
		good.encode()
		c.bytes = good.bytes[:g.r.IntN(len(good.bytes))]
	case 2: // too long
		good := g.plain()
		for good.kind == modelBad {
			good = g.plain()
		}
		good.encode()
		c.bytes = append(good.bytes, byte(g.r.IntN(256)))
	case 3:
		c.bytes = put(pick(g, "", string(long)), "v")
	case 4:
		c.bytes = del(pick(g, "", string(long)))
	case 5:
		c.bytes = put("k", "v", string(long[:MaxContentTypeBytes+1]))
	case 6:
		c.bytes = encodeWrite(commandPut, key, nil, PutOptions{TTL: wrongTTL})
	case 7:
		c.bytes = encodeWrite(commandPut, key, nil, PutOptions{TTL: g.ttl(), Lease: 1})
	case 8:
		c.bytes = encodeLease(commandGrant, uint64(pick(g, wrongTTL, 0)))
	case 9:
		c.bytes = encodeDeleteRange(pick(g, nil, long), long)
	case 10: // a request in a request, and what can be none
		c.bytes = encodeRequest("r", pick(g, encodeRequest("s", put("k", "")), encodeExpire(), []byte("\x01\x01")))
	case 11:
		c.bytes = encodeRequest(pick(g, "", strings.Repeat("r", MaxIdempotencyKeyBytes+1)), put("k", ""))
	case 12:
		c.bytes = binary.AppendUvarint(encodeExpire(), 1)
	default:
		t := g.badTxn()
		c.bytes = encodeTxn(&t)
	}
	return c
}

// badTxn is one that nobody may do.
func (g *generator) badTxn() (t Txn) {
	t = g.txn()
	key, long := g.key(), make([]byte, MaxKeyBytes+1)
	then := func(ops ...Op) { t.Then = append(t.Then, ops...) }
	switch g.r.IntN(20) {
	case 0:
		for len(t.If)+len(t.Then)+len(t.Else) <= MaxTxnOperations {
			t.If = append(t.If, g.comparison())
		}
	case 1:
		for len(t.If)+len(t.Then)+len(t.Else) <= MaxTxnOperations {
			t.Else = append(t.Else, Op{Kind: OpGet, Key: key})
		}
	case 2:
		then(Op{Kind: OpPut, Key: key}, Op{Kind: pick(g, OpPut, OpDelete), Key: key})
	case 3:
		t.Else = []Op{{Kind: OpPut, Key: key}, {Kind: OpGet, Key: key}, {Kind: OpDelete, Key: key}}
	case 4:
		then(Op{Kind: OpDeleteRange, Key: []byte("a"), End: nil}, Op{Kind: OpPut, Key: []byte("k")})
	case 5:
		then(Op{Kind: OpDelete, Key: []byte("k")}, Op{Kind: OpDeleteRange, Key: nil, End: []byte("k\x00")})
	case 6:
		then(Op{Kind: OpDeleteRange, Key: []byte("a"), End: []byte("k0")}, Op{Kind: OpDeleteRange, Key: []byte("k"), End: nil})
	case 7:
		then(Op{Kind: pick(g, 0, OpOther, OpOther+1, 255), Key: key})
	case 8:
		then(Op{Kind: pick(g, OpPut, OpGet, OpDelete), Key: pick(g, nil, long)})
	case 9:
		then(Op{Kind: pick(g, OpRange, OpDeleteRange), Key: long})
	case 10:
		then(Op{Kind: pick(g, OpRange, OpDeleteRange), Key: []byte("zz"), End: long})
	case 11:
		then(Op{Kind: OpRange, Limit: pick(g, 10_001, uint64(1<<64-1))})
	case 12:
		then(Op{Kind: OpPut, Key: []byte("new"), TTL: pick(g, MinTTL-1, MaxTTL+1, -1)})
	case 13:
		then(Op{Kind: OpPut, Key: []byte("new"), TTL: MinTTL, Lease: 1})
	case 14:
		then(Op{Kind: OpPut, Key: []byte("new"), ContentType: string(long[:MaxContentTypeBytes+1])})
	case 15:
		t.If = append(t.If, Comparison{Key: pick(g, nil, long), Target: CompareVersion, Op: Equal})
	case 16:
		t.If = append(t.If, Comparison{Key: key, Target: pick(g, 0, CompareExists+1, 255), Op: Equal})
	case 17:
		t.If = append(t.If, Comparison{Key: key, Target: CompareVersion, Op: pick(g, 0, LessOrEqual+1, 255)})
	case 18:
		t.If = append(t.If, Comparison{Key: key, Target: CompareExists, Op: NotEqual, Number: 1})
	default:
		t.If = append(t.If, Comparison{Key: key, Target: CompareExists, Op: Equal, Number: 2})
	}
	return t
}
