package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"kvd/test/chaos/history"
)

// transactor is a client that works on a few keys at once.
type transactor struct {
	*client
	g *group

	key  string
	revs map[string]uint64 // of keys, as seen last
}

func (c *transactor) step(ctx context.Context) {
	prefix := c.g.key() + "/"
	if prefix != c.key {
		c.key, c.revs = prefix, map[string]uint64{}
	}
	switch c.rng.IntN(60) {
	case 0:
		c.clear(ctx, prefix)
		return
	case 1, 2, 3, 4, 5, 6: // nobody may see a part of a transaction
		c.look(ctx, prefix)
		return
	}
	o := c.begin(&history.Op{Kind: history.Txn, Txn: c.txn(prefix)})
	if c.rng.IntN(3) == 0 {
		o.IdempotencyKey = fmt.Sprintf("txn-%d", o.ID)
		c.repeat(ctx, o, func() { c.txnOnce(o) })
	} else {
		c.txnOnce(o)
	}
	c.end(ctx, o)
}

// clear deletes all keys of the group at once.
func (c *transactor) clear(ctx context.Context, prefix string) {
	o := c.begin(&history.Op{Kind: history.DeletePrefix, Prefix: prefix})
	q := request{method: http.MethodDelete, path: "/v1/kv", query: map[string][]string{"prefix": {prefix}}}
	if r := c.try(o, q); r != nil && r.status == http.StatusOK {
		var j struct {
			Deleted  uint64 `json:"deleted"`
			Revision uint64 `json:"revision"`
		}
		if c.decode(q, r, &j) {
			o.Deleted, o.Hit, o.Revision = j.Deleted, j.Deleted > 0, j.Revision
		}
	}
	c.end(ctx, o)
}

// txn draws a transaction over four keys.
func (c *transactor) txn(prefix string) *history.TxnOp {
	names := []string{"a", "b", "c", "d"}
	c.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	key := func(i int) string { return prefix + names[i] }
	t := &history.TxnOp{}
	switch rev := c.revs[key(0)]; {
	case rev != 0 && c.rng.IntN(4) > 0:
		t.If = append(t.If, history.Compare{Key: key(0), Target: "mod_revision", Op: "eq", Number: rev})
	case c.rng.IntN(3) > 0:
		t.If = append(t.If, history.Compare{Key: key(0), Target: "exists", Exists: c.rng.IntN(2) == 0})
	default:
		t.If = append(t.If, history.Compare{Key: key(0), Target: "version", Op: "lt", Number: 5})
	}
	t.Then = []history.Step{
		{Kind: history.Put, Key: key(0), Value: c.value()},
		{Kind: history.Put, Key: key(1), Value: c.value()},
		{Kind: history.Get, Key: key(2)},
	}
	if c.rng.IntN(4) == 0 {
		t.Then = append(t.Then, history.Step{Kind: history.Delete, Key: key(3)})
	}
	t.Else = []history.Step{{Kind: history.List, Prefix: prefix, Limit: 10}, {Kind: history.Put, Key: key(3), Value: c.value()}}
	return t
}

// txnOnce makes one attempt.
func (c *transactor) txnOnce(o *history.Op) {
	body, err := json.Marshal(map[string]any{"if": comparisons(o.Txn.If), "then": steps(o.Txn.Then), "else": steps(o.Txn.Else)})
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	q := request{method: http.MethodPost, path: "/v1/txn", body: body}
	if o.IdempotencyKey != "" {
		q.header = []string{"Idempotency-Key", o.IdempotencyKey}
	}
	r := c.try(o, q)
	if r == nil || r.status != http.StatusOK {
		return
	}
	var j struct {
		Succeeded bool         `json:"succeeded"`
		Revision  uint64       `json:"revision"`
		Results   []resultJSON `json:"results"`
	}
	if !c.decode(q, r, &j) {
		return
	}
	branch := o.Txn.Else
	if j.Succeeded {
		branch = o.Txn.Then
	}
	if len(j.Results) != len(branch) {
		c.surprise(q, r, "%d results of %d operations", len(j.Results), len(branch))
		return
	}
	o.Hit, o.Revision, o.Txn.Results = j.Succeeded, j.Revision, nil
	for i, step := range branch {
		o.Txn.Results = append(o.Txn.Results, c.result(step, &j.Results[i], j.Revision))
	}
}

// resultJSON is the result of one operation.
type resultJSON struct {
	Put *struct {
		Created     bool   `json:"created"`
		ModRevision uint64 `json:"mod_revision"`
	} `json:"put"`
	Get    *itemJSON `json:"get"`
	Delete *struct {
		Deleted uint64 `json:"deleted"`
	} `json:"delete"`
	Range *struct {
		Items []itemJSON `json:"items"`
		More  bool       `json:"more"`
	} `json:"range"`
}

// result fills in what an operation came to.
func (c *transactor) result(step history.Step, j *resultJSON, revision uint64) history.Step {
	switch {
	case j.Put != nil:
		step.Created = j.Put.Created
		step.Seen = []history.Item{{Key: step.Key, ModRevision: j.Put.ModRevision, NoValue: true}}
		c.revs[step.Key] = revision
	case j.Get != nil:
		step.Seen = []history.Item{j.Get.item()}
		c.revs[step.Key] = j.Get.ModRevision
	case j.Delete != nil:
		step.Deleted = j.Delete.Deleted
		delete(c.revs, step.Key)
	case j.Range != nil:
		step.Seen, step.More = items(j.Range.Items), j.Range.More
		for _, i := range step.Seen {
			c.revs[i.Key] = i.ModRevision
		}
	}
	return step
}

func comparisons(cs []history.Compare) (all []map[string]any) {
	for _, c := range cs {
		var value any = map[string]any{c.Op: c.Number}
		switch c.Target {
		case "exists":
			value = c.Exists
		case "value", "lease":
			value = map[string]any{c.Op: c.Text}
		}
		all = append(all, map[string]any{"key": c.Key, c.Target: value})
	}
	return all
}

func steps(ss []history.Step) (all []map[string]any) {
	for _, s := range ss {
		name, op := string(s.Kind), map[string]any{"key": s.Key}
		switch s.Kind {
		case history.Put:
			op["value"] = s.Value
		case history.List:
			name, op = "range", map[string]any{"prefix": s.Prefix, "limit": s.Limit}
		}
		all = append(all, map[string]any{name: op})
	}
	return all
}
