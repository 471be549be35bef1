package httpapi

import (
	"net/http"
	"strconv"

	"kvd/internal/kvstore"
)

// maxTxnBytes is the longest body of a transaction. It has room for values of
// the usual size, and for more than one.
const maxTxnBytes = 4 << 20

// txn serves POST /v1/txn.
func (h *Handler) txn(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	repeat, err := idempotencyKey(r.Header)
	if err != nil {
		return 0, err
	}
	body, err := readBody(r, maxTxnBytes, nil)
	if err != nil {
		return 0, err
	}
	t, err := parseTxn(body, h.cfg.MaxValueBytes)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	res, err := h.cfg.Store.Txn(ctx, t, kvstore.WriteOptions{IdempotencyKey: repeat})
	if err := settle(w.Header(), &res, err); err != nil {
		return 0, err
	}
	ops := t.Then
	if res.Txn == nil || !res.Txn.Succeeded {
		ops = t.Else
	}
	if res.Txn == nil || len(res.Txn.Ops) != len(ops) {
		return 0, &fault{cause: errInternal, detail: "the result is not one of this transaction"}
	}
	writeTxn(w, &res, ops)
	return http.StatusOK, nil
}

// writeTxn answers with what the operations of a branch came to.
func writeTxn(w http.ResponseWriter, res *kvstore.Result, ops []kvstore.Op) {
	header := w.Header()
	header["Content-Type"] = jsonType
	header["X-Content-Type-Options"] = nosniff
	header["Kvd-Revision"] = []string{strconv.FormatUint(res.Revision, 10)}
	s := newStream(w)
	s.buf = append(s.buf, `{"succeeded":`...)
	s.buf = strconv.AppendBool(s.buf, res.Txn.Succeeded)
	s.buf = append(s.buf, `,"revision":`...)
	s.buf = strconv.AppendUint(s.buf, res.Revision, 10)
	s.buf = append(s.buf, `,"results":[`...)
	for i := range ops {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.result(&ops[i], &res.Txn.Ops[i])
	}
	s.buf = append(s.buf, "]}\n"...)
	s.end()
}

// result appends what one operation came to.
func (s *stream) result(op *kvstore.Op, r *kvstore.OpResult) {
	switch op.Kind {
	case kvstore.OpPut:
		s.buf = append(s.buf, `{"put":{"created":`...)
		s.buf = strconv.AppendBool(s.buf, r.Code == kvstore.Created)
		s.buf = append(s.buf, `,"mod_revision":`...)
		s.buf = strconv.AppendUint(s.buf, r.ModRevision, 10)
		s.prev(op, r)
		s.buf = append(s.buf, '}')
	case kvstore.OpGet:
		s.buf = append(s.buf, `{"get":`...)
		s.item(r.Item)
	case kvstore.OpDelete, kvstore.OpDeleteRange:
		s.buf = append(s.buf, `{"delete":{"deleted":`...)
		s.buf = strconv.AppendUint(s.buf, r.Count, 10)
		s.prev(op, r)
		s.buf = append(s.buf, '}')
	case kvstore.OpRange:
		s.buf = append(s.buf, `{"range":{"count":`...)
		s.buf = strconv.AppendUint(s.buf, r.Count, 10)
		if !op.CountOnly {
			s.buf = append(s.buf, `,"items":[`...)
			for i := range r.Items {
				if i > 0 {
					s.buf = append(s.buf, ',')
				}
				s.buf = appendItem(s.buf, &r.Items[i], op.KeysOnly)
				s.next()
			}
			s.buf = append(s.buf, `],"more":`...)
			s.buf = strconv.AppendBool(s.buf, r.More)
		}
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, '}')
	s.next()
}

// prev appends the item before a write, where it was asked for.
func (s *stream) prev(op *kvstore.Op, r *kvstore.OpResult) {
	if op.WantPrev {
		s.buf = append(s.buf, `,"prev":`...)
		s.item(r.Prev)
	}
}

// item appends an item, or null where there is none.
func (s *stream) item(item *kvstore.Item) {
	if item == nil {
		s.buf = append(s.buf, "null"...)
		return
	}
	s.buf = appendItem(s.buf, item, false)
}
