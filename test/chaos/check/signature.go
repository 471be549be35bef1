package check

import (
	"fmt"
	"strings"

	"kvd/test/chaos/history"
)

// A signature is what was asked, in a form in which an operation of a history and
// a command of the log are the same text.

// signOp returns that of an operation.
func signOp(o *history.Op) string {
	switch o.Kind {
	case history.Put, history.Increment:
		return sign(o.IdempotencyKey, "put", o.Key, o.Value, o.If, o.OverRevision, o.TTL, o.Lease)
	case history.Delete:
		return sign(o.IdempotencyKey, "delete", o.Key, o.If, o.OverRevision)
	case history.DeletePrefix:
		return sign(o.IdempotencyKey, "delete_range", o.Prefix, prefixEnd(o.Prefix))
	case history.Grant:
		return sign(o.IdempotencyKey, "grant", o.TTL)
	case history.Revoke:
		return sign(o.IdempotencyKey, "revoke", o.Lease)
	case history.Txn:
		return sign(o.IdempotencyKey, "txn", signTxn(o.Txn))
	}
	return ""
}

// signCommand returns that of a command.
func signCommand(c *Command) string {
	switch c.Kind {
	case "put":
		return sign(c.IdempotencyKey, "put", c.Key, c.Value, c.If, c.IfRevision, c.TTL, c.Lease)
	case "delete":
		return sign(c.IdempotencyKey, "delete", c.Key, c.If, c.IfRevision)
	case "delete_range":
		return sign(c.IdempotencyKey, "delete_range", c.Key, c.End)
	case "grant":
		return sign(c.IdempotencyKey, "grant", c.TTL)
	case "revoke":
		return sign(c.IdempotencyKey, "revoke", c.Lease)
	case "txn":
		var b strings.Builder
		for _, x := range c.Txn.If {
			b.WriteString(sign("", x.Key, x.Target, x.Op, x.Number, x.Text))
		}
		for _, steps := range [][]TxnStep{c.Txn.Then, c.Txn.Else} {
			b.WriteByte('|')
			for _, s := range steps {
				limit := s.Limit
				if s.Op != "range" {
					limit = 0
				}
				b.WriteString(sign("", s.Op, s.Key, s.End, s.Value, s.TTL, s.Lease, limit))
			}
		}
		return sign(c.IdempotencyKey, "txn", b.String())
	}
	return ""
}

func signTxn(t *history.TxnOp) string {
	var b strings.Builder
	for _, x := range t.If {
		c := compareOf(x)
		b.WriteString(sign("", c.Key, c.Target, c.Op, c.Number, c.Text))
	}
	for _, steps := range [][]history.Step{t.Then, t.Else} {
		b.WriteByte('|')
		for _, x := range steps {
			s := stepOf(x)
			b.WriteString(sign("", s.Op, s.Key, s.End, s.Value, s.TTL, s.Lease, s.Limit))
		}
	}
	return b.String()
}

// compareOf is a comparison of a history as the log has it.
func compareOf(x history.Compare) Compare {
	c := Compare{Key: x.Key, Target: x.Target, Op: x.Op, Number: x.Number}
	switch x.Target {
	case "exists":
		c.Op, c.Number = "eq", 0
		if x.Exists {
			c.Number = 1
		}
	case "value":
		c.Text = history.Short([]byte(x.Text))
	case "lease":
		c.Text = x.Text
	}
	return c
}

// stepOf is an operation of a history's transaction as the log has it.
func stepOf(x history.Step) TxnStep {
	s := TxnStep{Op: string(x.Kind), Key: x.Key, Value: x.Value, TTL: x.TTL, Lease: x.Lease}
	switch x.Kind {
	case history.DeletePrefix:
		s.Op, s.Key, s.End = "delete_range", x.Prefix, prefixEnd(x.Prefix)
	case history.List:
		s.Op, s.Key, s.End, s.Limit = "range", x.Prefix, prefixEnd(x.Prefix), uint64(x.Limit)
	}
	return s
}

func sign(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%q,", fmt.Sprint(p))
	}
	return b.String()
}

func quote(key string) string { return fmt.Sprintf("%q", key) }
