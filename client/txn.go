package client

import (
	"context"
	"fmt"
	"net/http"
)

const txnPath = "/v1/txn"

// Txn is a transaction: all of Then if every comparison of If holds, all of
// Else if not, in one revision. Operations see what earlier ones of their branch
// have written. No key may be written twice in a branch.
type Txn struct {
	If         []Compare
	Then, Else []Op

	IdempotencyKey string // see PutOptions
}

// MarshalJSON gives the form that the API takes.
func (t Txn) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		If   []Compare `json:"if,omitempty"`
		Then []Op      `json:"then,omitempty"`
		Else []Op      `json:"else,omitempty"`
	}{t.If, t.Then, t.Else})
}

// TxnResult is what a transaction has done.
type TxnResult struct {
	Succeeded bool // the comparisons held: Results are those of Then
	Revision  uint64
	Results   []OpResult // one an operation
	Replayed  bool       // an earlier attempt, or call with this IdempotencyKey, had done it
}

// OpResult is what one operation came to. Which fields are set depends on the
// operation.
type OpResult struct {
	Created     bool   // put: the key did not exist
	ModRevision uint64 // put
	Prev        *Item  // put and delete of a key, where asked for; nil: there was none
	Item        *Item  // get; nil: there is none
	Deleted     uint64 // delete: how many keys
	Items       []Item // range
	Count       uint64 // range: of Items; with CountOnly, of all keys there are
	More        bool   // range: Items is not all of it
}

// opResultJSON is an OpResult as members write it.
type opResultJSON struct {
	Put *struct {
		Created     bool      `json:"created"`
		ModRevision uint64    `json:"mod_revision"`
		Prev        *itemJSON `json:"prev"`
	} `json:"put"`
	Get    *itemJSON `json:"get"`
	Delete *struct {
		Deleted uint64    `json:"deleted"`
		Prev    *itemJSON `json:"prev"`
	} `json:"delete"`
	Range *struct {
		Count uint64     `json:"count"`
		Items []itemJSON `json:"items"`
		More  bool       `json:"more"`
	} `json:"range"`
}

func (j *opResultJSON) result() OpResult {
	switch {
	case j.Put != nil:
		return OpResult{Created: j.Put.Created, ModRevision: j.Put.ModRevision, Prev: itemOf(j.Put.Prev)}
	case j.Delete != nil:
		return OpResult{Deleted: j.Delete.Deleted, Prev: itemOf(j.Delete.Prev)}
	case j.Range != nil:
		r := OpResult{Count: j.Range.Count, More: j.Range.More}
		for i := range j.Range.Items {
			r.Items = append(r.Items, j.Range.Items[i].item())
		}
		return r
	}
	return OpResult{Item: itemOf(j.Get)}
}

// Txn does a transaction. That its comparisons do not hold is no error:
// TxnResult.Succeeded tells.
func (c *Client) Txn(ctx context.Context, t Txn) (*TxnResult, error) {
	q := newCall(keyed, http.MethodPost, txnPath)
	q.timed = true
	q.write(c, t.IdempotencyKey)
	if err := q.json(t); err != nil {
		return nil, err
	}
	var j struct {
		Succeeded bool           `json:"succeeded"`
		Revision  uint64         `json:"revision"`
		Results   []opResultJSON `json:"results"`
	}
	a, err := c.doJSON(ctx, q, &j)
	if err != nil {
		return nil, err
	}
	branch := t.Else
	if j.Succeeded {
		branch = t.Then
	}
	if len(j.Results) != len(branch) {
		return nil, q.badAnswer(a.status, fmt.Errorf("%d results of %d operations", len(j.Results), len(branch)))
	}
	res := &TxnResult{Succeeded: j.Succeeded, Revision: j.Revision, Replayed: a.replayed}
	for i := range j.Results {
		res.Results = append(res.Results, j.Results[i].result())
	}
	return res, nil
}
