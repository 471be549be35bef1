package main

import (
	"kvd/internal/kvstore"
)

// dumpCommand is a command of the log, and what it came to.
type dumpCommand struct {
	Command        string         `json:"command"` // "malformed" for bytes that are none
	IdempotencyKey string         `json:"idempotency_key,omitempty"`
	Fingerprint    string         `json:"fingerprint,omitempty"` // of a command with an idempotency key
	Key            *string        `json:"key,omitempty"`         // of a range: its first
	KeyBase64      []byte         `json:"key_base64,omitempty"`
	End            *string        `json:"end,omitempty"` // of a range, its upper bound
	EndBase64      []byte         `json:"end_base64,omitempty"`
	Value          *string        `json:"value,omitempty"`
	ValueBase64    []byte         `json:"value_base64,omitempty"`
	ContentType    string         `json:"content_type,omitempty"`
	If             string         `json:"if,omitempty"` // absent, present, revision
	IfRevision     uint64         `json:"if_revision,omitempty"`
	Prev           bool           `json:"prev,omitempty"`
	TTL            string         `json:"ttl,omitempty"`
	Lease          string         `json:"lease,omitempty"`
	UpTo           uint64         `json:"up_to,omitempty"` // of a compaction
	Txn            *dumpTxn       `json:"txn,omitempty"`
	Result         *dumpResult    `json:"result"`
	Changes        []*dumpVersion `json:"changes,omitempty"` // not of a put or delete; as far as history has them
}

type dumpTxn struct {
	If   []dumpCompare `json:"if,omitempty"`
	Then []dumpOp      `json:"then,omitempty"`
	Else []dumpOp      `json:"else,omitempty"`
}

type dumpCompare struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   []byte  `json:"key_base64,omitempty"`
	Target      string  `json:"target"`
	Op          string  `json:"op"`
	Number      uint64  `json:"number,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
	Lease       string  `json:"lease,omitempty"`
}

type dumpOp struct {
	Op          string  `json:"op"`
	Key         *string `json:"key,omitempty"`
	KeyBase64   []byte  `json:"key_base64,omitempty"`
	End         *string `json:"end,omitempty"`
	EndBase64   []byte  `json:"end_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
	ContentType string  `json:"content_type,omitempty"`
	TTL         string  `json:"ttl,omitempty"`
	Lease       string  `json:"lease,omitempty"`
	Limit       uint64  `json:"limit,omitempty"`
	Reverse     bool    `json:"reverse,omitempty"`
	Keys        bool    `json:"keys,omitempty"`
	Count       bool    `json:"count,omitempty"`
}

var conditionNames = map[kvstore.ConditionKind]string{
	kvstore.IfAbsent: "absent", kvstore.IfPresent: "present", kvstore.IfRevision: "revision",
}

var targetNames = map[kvstore.CompareTarget]string{
	kvstore.CompareModRevision: "mod_revision", kvstore.CompareCreateRevision: "create_revision",
	kvstore.CompareVersion: "version", kvstore.CompareValue: "value", kvstore.CompareLease: "lease", kvstore.CompareExists: "exists",
}

var operatorNames = map[kvstore.CompareOp]string{
	kvstore.Equal: "eq", kvstore.NotEqual: "ne", kvstore.Greater: "gt", kvstore.Less: "lt",
	kvstore.GreaterOrEqual: "ge", kvstore.LessOrEqual: "le",
}

var opNames = map[kvstore.OpKind]string{
	kvstore.OpPut: "put", kvstore.OpGet: "get", kvstore.OpDelete: "delete", kvstore.OpDeleteRange: "delete_range", kvstore.OpRange: "range",
}

func newDumpCommand(b []byte, r *kvstore.Result) *dumpCommand {
	c, ok := kvstore.Describe(b)
	if !ok {
		return &dumpCommand{Command: "malformed", Result: newDumpResult(r)}
	}
	doc := &dumpCommand{
		Command: c.Kind, IdempotencyKey: string(c.IdempotencyKey), Fingerprint: c.Fingerprint,
		ContentType: c.ContentType, If: conditionNames[c.Condition.Kind], IfRevision: c.Condition.Revision, Prev: c.WantPrev,
		TTL: durationText(c.TTL), Lease: leaseText(c.Lease), UpTo: c.Revision, Result: newDumpResult(r),
	}
	switch c.Kind {
	case "put":
		doc.Value, doc.ValueBase64 = dumpText(c.Value)
		doc.Key, doc.KeyBase64 = dumpText(c.Key)
	case "delete", "delete_range":
		doc.Key, doc.KeyBase64 = dumpText(c.Key)
	case "txn":
		doc.Txn = newDumpTxn(c.Txn)
	}
	if c.End != nil {
		doc.End, doc.EndBase64 = dumpText(c.End)
	}
	return doc
}

func newDumpTxn(t *kvstore.Txn) *dumpTxn {
	doc := &dumpTxn{Then: newDumpOps(t.Then), Else: newDumpOps(t.Else)}
	for i := range t.If {
		c := &t.If[i]
		x := dumpCompare{Target: targetNames[c.Target], Op: operatorNames[c.Op]}
		x.Key, x.KeyBase64 = dumpText(c.Key)
		switch c.Target {
		case kvstore.CompareValue:
			x.Value, x.ValueBase64 = dumpText(c.Value)
		case kvstore.CompareLease:
			x.Lease = leaseText(kvstore.LeaseID(c.Number))
		default:
			x.Number = c.Number
		}
		doc.If = append(doc.If, x)
	}
	return doc
}

func newDumpOps(ops []kvstore.Op) (docs []dumpOp) {
	for i := range ops {
		op := &ops[i]
		doc := dumpOp{
			Op: opNames[op.Kind], ContentType: op.ContentType, TTL: durationText(op.TTL), Lease: leaseText(op.Lease),
			Limit: op.Limit, Reverse: op.Reverse, Keys: op.KeysOnly, Count: op.CountOnly,
		}
		doc.Key, doc.KeyBase64 = dumpText(op.Key)
		if op.End != nil {
			doc.End, doc.EndBase64 = dumpText(op.End)
		}
		if op.Kind == kvstore.OpPut {
			doc.Value, doc.ValueBase64 = dumpText(op.Value)
		}
		docs = append(docs, doc)
	}
	return docs
}
