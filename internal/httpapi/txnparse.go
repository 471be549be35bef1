package httpapi

import (
	"slices"
	"strconv"

	"kvd/internal/kvstore"
)

// txnParser reads the body of a transaction. Whatever is wrong with it is told
// with the place where it is, such as "then[2].put".
type txnParser struct {
	maxValue int64
	left     int // comparisons and operations that may still come
}

// parseTxn checks all that can be checked without the store. What it returns
// may share body's memory.
func parseTxn(body []byte, maxValue int64) (kvstore.Txn, error) {
	var t kvstore.Txn
	text, wrong := checkText(body)
	if wrong == "" && text[0] != '{' {
		wrong = "the body must be one JSON object"
	}
	if wrong != "" {
		return t, &fault{cause: kvstore.ErrBadTxn, detail: wrong}
	}
	p := txnParser{maxValue: maxValue, left: kvstore.MaxTxnOperations}
	seen := make(map[string]bool, 3)
	for name, list := range text.members() {
		if seen[name] {
			return t, badTxn(name, "stands there twice")
		}
		var err error
		switch name {
		case "if":
			err = p.list(name, list, func(where string, v jsonText) error {
				c, err := comparison(where, v)
				t.If = append(t.If, c)
				return err
			})
		case "then":
			t.Then, err = p.branch(name, list)
		case "else":
			t.Else, err = p.branch(name, list)
		default:
			err = unknownMember("body", name, "if, then and else")
		}
		if err != nil {
			return t, err
		}
		seen[name] = true
	}
	return t, nil
}

// list calls add for each element of a list, with the place where it is.
func (p *txnParser) list(name string, list jsonText, add func(where string, v jsonText) error) error {
	if list[0] != '[' {
		return badTxn(name, "takes a list")
	}
	for i, v := range list.elements() {
		where := name + "[" + strconv.Itoa(i) + "]"
		if p.left--; p.left < 0 {
			return badTxn(where, "more than "+strconv.Itoa(kvstore.MaxTxnOperations)+" comparisons and operations")
		}
		if v[0] != '{' {
			return badTxn(where, "takes an object")
		}
		if err := add(where, v); err != nil {
			return err
		}
	}
	return nil
}

func (p *txnParser) branch(name string, list jsonText) (ops []kvstore.Op, err error) {
	err = p.list(name, list, func(where string, v jsonText) error {
		op, err := p.operation(where, v)
		ops = append(ops, op)
		return err
	})
	return ops, err
}

// txnOperation is a kind of operation with the members that it takes.
type txnOperation struct {
	name   string
	fields txnFieldSet
	build  func(p *txnParser, where string, f *txnFields) (kvstore.Op, error)
}

var txnOperations = []txnOperation{
	{"put", txnKey | txnValue | txnContentType | txnTTL | txnLease | txnPrev, (*txnParser).putOp},
	{"get", txnKey, (*txnParser).getOp},
	{"delete", txnKey | txnPrefix | txnStart | txnEnd | txnPrev | txnConfirm, (*txnParser).deleteOp},
	{"range", txnPrefix | txnStart | txnEnd | txnLimit | txnReverse | txnKeys | txnCount, (*txnParser).rangeOp},
}

// operation reads {"put":{…}} and the like.
func (p *txnParser) operation(where string, v jsonText) (op kvstore.Op, err error) {
	known := 0
	for name, args := range v.members() {
		if known++; known > 1 {
			return op, badTxn(where, "takes one operation")
		}
		i := slices.IndexFunc(txnOperations, func(o txnOperation) bool { return o.name == name })
		if i < 0 {
			return op, unknownMember(where, name, "put, get, delete and range")
		}
		var f txnFields
		if err = f.read(where+"."+name, args, txnOperations[i].fields); err == nil {
			op, err = txnOperations[i].build(p, where+"."+name, &f)
		}
		if err != nil {
			return op, err
		}
	}
	if known == 0 {
		return op, badTxn(where, "takes put, get, delete or range")
	}
	return op, nil
}

func (p *txnParser) putOp(where string, f *txnFields) (kvstore.Op, error) {
	key, err := f.oneKey(where)
	switch {
	case err != nil:
		return kvstore.Op{}, err
	case f.given&txnValue == 0:
		return kvstore.Op{}, badTxn(where, "value or value_base64 is required")
	case int64(len(f.value)) > p.maxValue:
		return kvstore.Op{}, &fault{cause: errTooMuch, detail: where + ": a value has at most " + strconv.FormatInt(p.maxValue, 10) + " bytes"}
	case f.ttl != 0 && f.lease != 0:
		return kvstore.Op{}, badTxn(where, "ttl and lease exclude each other")
	}
	return kvstore.Op{Kind: kvstore.OpPut, Key: key, Value: f.value, ContentType: f.contentType, TTL: f.ttl, Lease: f.lease, WantPrev: f.prev}, nil
}

func (p *txnParser) getOp(where string, f *txnFields) (kvstore.Op, error) {
	key, err := f.oneKey(where)
	return kvstore.Op{Kind: kvstore.OpGet, Key: key}, err
}

func (p *txnParser) deleteOp(where string, f *txnFields) (kvstore.Op, error) {
	bounds := f.given & (txnPrefix | txnStart | txnEnd)
	switch {
	case f.given&txnKey != 0 && bounds != 0:
		return kvstore.Op{}, badTxn(where, "takes a key or a range of keys, not both")
	case bounds == 0 && f.given&txnConfirm != 0:
		return kvstore.Op{}, badTxn(where, "confirm goes with a range of keys")
	case bounds == 0:
		key, err := f.oneKey(where)
		return kvstore.Op{Kind: kvstore.OpDelete, Key: key, WantPrev: f.prev}, err
	case f.given&txnPrev != 0:
		return kvstore.Op{}, badTxn(where, "prev goes with a key")
	}
	s, err := f.bounds(where)
	if err == nil && len(s.start) == 0 && s.end == nil && !f.many.confirmed {
		err = badTxn(where, `deletes every key: that takes "confirm":"all"`)
	}
	return kvstore.Op{Kind: kvstore.OpDeleteRange, Key: s.start, End: s.end}, err
}

func (p *txnParser) rangeOp(where string, f *txnFields) (kvstore.Op, error) {
	s, err := f.bounds(where)
	if err == nil && f.many.count && f.given&(txnLimit|txnReverse|txnKeys) != 0 {
		err = badTxn(where, "count counts all of the range: it goes without limit, reverse and keys")
	}
	return kvstore.Op{
		Kind: kvstore.OpRange, Key: s.start, End: s.end,
		Limit: uint64(f.many.limit), Reverse: f.many.reverse, KeysOnly: f.many.keys, CountOnly: f.many.count,
	}, err
}

// compareOps are the operators of comparisons.
var compareOps = map[string]kvstore.CompareOp{
	"eq": kvstore.Equal, "ne": kvstore.NotEqual, "gt": kvstore.Greater,
	"lt": kvstore.Less, "ge": kvstore.GreaterOrEqual, "le": kvstore.LessOrEqual,
}

// compareTargets are what can be compared, with how a value of each is read.
var compareTargets = map[string]struct {
	target kvstore.CompareTarget
	takes  string
	set    func(c *kvstore.Comparison, v jsonText) bool
}{
	"mod_revision":    {kvstore.CompareModRevision, takesNumber, setNumber},
	"create_revision": {kvstore.CompareCreateRevision, takesNumber, setNumber},
	"version":         {kvstore.CompareVersion, takesNumber, setNumber},
	"value":           {kvstore.CompareValue, takesText, func(c *kvstore.Comparison, v jsonText) bool { return setText(&c.Value, v) }},
	"value_base64":    {kvstore.CompareValue, takesTextBase64, func(c *kvstore.Comparison, v jsonText) bool { return setTextBase64(&c.Value, v) }},
	"lease": {kvstore.CompareLease, takesLease + `; or "" for none`, func(c *kvstore.Comparison, v jsonText) bool {
		text, ok := v.text()
		if !ok || len(text) == 0 {
			return ok
		}
		var id kvstore.LeaseID
		ok = setLease(&id, string(text))
		c.Number = uint64(id)
		return ok
	}},
}

func setNumber(c *kvstore.Comparison, v jsonText) (ok bool) {
	c.Number, ok = v.uint()
	return ok
}

// comparison reads {"key":"a","mod_revision":{"eq":40}} and the like.
func comparison(where string, v jsonText) (c kvstore.Comparison, err error) {
	var f txnFields
	for name, args := range v.members() {
		target, known := compareTargets[name]
		switch {
		case name == "key" || name == "key_base64":
			err = f.set(where, name, args, txnKey)
		case !known && name != "exists":
			err = unknownMember(where, name, "key, mod_revision, create_revision, version, value, lease and exists")
		case c.Target != 0:
			err = badTxn(where, "takes one comparison")
		case name == "exists":
			exists, ok := args.bool()
			if !ok {
				err = badTxn(where+".exists", "takes true or false")
			} else if exists {
				c.Number = 1
			}
			c.Target, c.Op = kvstore.CompareExists, kvstore.Equal
		default:
			c.Target = target.target
			err = compareWith(&c, where+"."+name, args, target.takes, target.set)
		}
		if err != nil {
			return c, err
		}
	}
	if c.Target == 0 {
		return c, badTxn(where, "takes mod_revision, create_revision, version, value, lease or exists")
	}
	c.Key, err = f.oneKey(where)
	return c, err
}

// compareWith reads {"eq":40}.
func compareWith(c *kvstore.Comparison, where string, v jsonText, takes string, set func(*kvstore.Comparison, jsonText) bool) error {
	if v[0] != '{' {
		return badTxn(where, `takes an object such as {"eq":…}`)
	}
	for name, arg := range v.members() {
		switch op, known := compareOps[name]; {
		case !known:
			return unknownMember(where, name, "eq, ne, gt, lt, ge and le")
		case c.Op != 0:
			return badTxn(where, "takes one operator")
		case !set(c, arg):
			return badTxn(where+"."+name, "takes "+takes)
		default:
			c.Op = op
		}
	}
	if c.Op == 0 {
		return badTxn(where, "takes eq, ne, gt, lt, ge or le")
	}
	return nil
}

func badTxn(where, detail string) error {
	return &fault{cause: kvstore.ErrBadTxn, detail: where + ": " + detail}
}

func unknownMember(where, name, known string) error {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return badTxn(where, "unknown member "+strconv.Quote(name)+"; known are "+known)
}
