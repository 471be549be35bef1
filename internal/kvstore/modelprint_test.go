package kvstore

import (
	"fmt"
	"strings"
)

// String leaves out what is zero.
func (c *modelCommand) String() string {
	p := printer{}
	p.add("%s", c.kind)
	p.bytes("request", []byte(c.request))
	p.bytes("key", c.key)
	p.bound("end", c.end)
	p.bytes("value", c.value)
	p.bytes("type", []byte(c.contentType))
	if c.condition.Kind != Always {
		p.add("if=%d,%d", c.condition.Kind, c.condition.Revision)
	}
	p.flag("prev", c.wantPrev)
	p.life(c.lease, int64(c.ttl))
	switch c.kind {
	case modelCompact:
		p.add("revision=%d", c.revision)
	case modelBad:
		p.add("bytes=%.100x", c.bytes)
	case modelTxn:
		for i := range c.txn.If {
			x := &c.txn.If[i]
			p.add("\n\t\tif %q target=%d op=%d number=%d", x.Key, x.Target, x.Op, x.Number)
			p.bytes("value", x.Value)
		}
		p.ops("then", c.txn.Then)
		p.ops("else", c.txn.Else)
	}
	return strings.Join(p.words, " ")
}

type printer struct{ words []string }

func (p *printer) add(format string, args ...any) {
	p.words = append(p.words, fmt.Sprintf(format, args...))
}

func (p *printer) bytes(name string, b []byte) {
	switch {
	case len(b) > 60:
		p.add("%s=%d×%q", name, len(b), b[0])
	case len(b) > 0:
		p.add("%s=%q", name, b)
	}
}

// bound tells an empty one from none.
func (p *printer) bound(name string, b []byte) {
	if b != nil {
		p.add("%s=%q", name, b)
	}
}

func (p *printer) flag(name string, set bool) {
	if set {
		p.add("%s", name)
	}
}

func (p *printer) life(lease LeaseID, ttl int64) {
	if lease != 0 {
		p.add("lease=%s", lease)
	}
	if ttl != 0 {
		p.add("ttl=%dns", ttl)
	}
}

func (p *printer) ops(branch string, ops []Op) {
	for i := range ops {
		op := &ops[i]
		p.add("\n\t\t%s %s", branch, [...]string{"?", "put", "get", "delete", "deleteRange", "range"}[op.Kind])
		p.bytes("key", op.Key)
		p.bound("end", op.End)
		p.bytes("value", op.Value)
		p.bytes("type", []byte(op.ContentType))
		p.life(op.Lease, int64(op.TTL))
		p.flag("prev", op.WantPrev)
		if op.Limit > 0 {
			p.add("limit=%d", op.Limit)
		}
		p.flag("reverse", op.Reverse)
		p.flag("keysOnly", op.KeysOnly)
		p.flag("countOnly", op.CountOnly)
	}
}
