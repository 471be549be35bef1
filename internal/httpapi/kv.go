package httpapi

import (
	"net/http"
	"strconv"

	"kvd/internal/kvstore"
)

// getKey serves GET and HEAD of a key.
func (h *Handler) getKey(w http.ResponseWriter, r *http.Request) (int, error) {
	return h.get(w, r, kvPrefix)
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request, prefix string) (int, error) {
	key, err := keyFromURL(r.URL, prefix)
	if err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramsRead|paramWait)
	if err != nil {
		return 0, err
	}
	if p.wait > 0 && p.revision > 0 {
		return 0, badParameter("wait", "what was at a revision does not change")
	}
	match, none, err := readCondition(r.Header)
	if err != nil {
		return 0, err
	}

	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if err := h.beforeRead(ctx, w, &p); err != nil {
		return 0, err
	}
	s := scratches.Get().(*scratch)
	s.key = append(s.key[:0], key...)
	read := p.readOptions()
	var o kvstore.GetOptions
	o.Stale, o.MinRevision, o.Revision = read.Stale, read.MinRevision, read.Revision
	got, err := h.cfg.Store.Get(ctx, s.key, o)
	s.free()
	if err != nil {
		return 0, p.readFault(err)
	}
	if p.wait > 0 {
		changed, err := h.await(w, r, &p, key, none, &got)
		if err != nil {
			return 0, err
		}
		if changed {
			none = nil
		}
	}

	// Conditions are judged for what exists only (RFC 9110, section 13.2.1).
	if !got.Found {
		return 0, &fault{cause: errNotFound, detail: "no such key", revision: got.Revision, hasRevision: true}
	}
	item := &got.Item
	if match != nil && !match.match(item.ModRevision) {
		return 0, &fault{cause: errPrecondition, detail: "the key has another revision", etag: item.ModRevision, revision: got.Revision, hasRevision: true}
	}
	if none != nil && none.match(item.ModRevision) {
		keyHeader(w.Header(), item.ModRevision, got.Revision, -1)
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified, nil
	}
	if wantsJSON(r.Header["Accept"]) {
		keyHeader(w.Header(), item.ModRevision, got.Revision, -1)
		w.Header()["Vary"] = varyAccept
		writeJSON(w, r, http.StatusOK, jsonType, newItemJSON(item))
		return http.StatusOK, nil
	}
	return writeValue(w, r, item, got.Revision), nil
}

// putKey serves PUT of a key.
func (h *Handler) putKey(w http.ResponseWriter, r *http.Request) (int, error) {
	res, p, err := h.put(w, r, kvPrefix)
	if err != nil {
		return 0, err
	}
	keyHeader(w.Header(), res.ModRevision, res.Revision, -1)
	created := res.Code == kvstore.Created
	switch {
	case p.prev:
		j := newPrevJSON(&res)
		j.Created = &created
		writeJSON(w, r, http.StatusOK, jsonType, j)
		return http.StatusOK, nil
	case created:
		w.WriteHeader(http.StatusCreated)
		return http.StatusCreated, nil
	default:
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent, nil
	}
}

// put writes the body of a request to the key that its path names below
// prefix. All that can be wrong with a request is found before the store sees
// it, and the body is there to its last byte.
func (h *Handler) put(w http.ResponseWriter, r *http.Request, prefix string) (kvstore.Result, params, error) {
	var none kvstore.Result
	key, err := keyFromURL(r.URL, prefix)
	if err != nil {
		return none, params{}, err
	}
	p, err := parseParams(r.URL.RawQuery, paramPrev|paramTTL|paramLease|paramTimeout)
	if err == nil && p.ttl != 0 && p.lease != 0 {
		err = badParameter("lease", "ttl is given as well")
	}
	if err != nil {
		return none, p, err
	}
	cond, err := writeCondition(r.Header)
	if err != nil {
		return none, p, err
	}
	contentType, err := storedContentType(r.Header)
	if err != nil {
		return none, p, err
	}
	repeat, err := idempotencyKey(r.Header)
	if err != nil {
		return none, p, err
	}

	s := scratches.Get().(*scratch)
	defer s.free()
	value, err := readBody(r, h.cfg.MaxValueBytes, s.body)
	if err != nil {
		return none, p, err
	}
	s.body = value
	s.key = append(s.key[:0], key...)
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	res, err := h.cfg.Store.Put(ctx, s.key, value, kvstore.PutOptions{
		ContentType: contentType, Condition: cond, WantPrev: p.prev, TTL: p.ttl, Lease: p.lease, IdempotencyKey: repeat,
	})
	return res, p, settle(w.Header(), &res, err)
}

// deleteKey serves DELETE of a key.
func (h *Handler) deleteKey(w http.ResponseWriter, r *http.Request) (int, error) {
	key, err := keyFromURL(r.URL, kvPrefix)
	if err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramPrev|paramTimeout)
	if err != nil {
		return 0, err
	}
	cond, err := deleteCondition(r.Header)
	if err != nil {
		return 0, err
	}
	repeat, err := idempotencyKey(r.Header)
	if err != nil {
		return 0, err
	}

	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	res, err := h.cfg.Store.Delete(ctx, []byte(key), kvstore.DeleteOptions{Condition: cond, WantPrev: p.prev, IdempotencyKey: repeat})
	if err := settle(w.Header(), &res, err); err != nil {
		return 0, err
	}
	deleted := 0
	if res.Code == kvstore.Deleted {
		deleted = 1
	}
	header := w.Header()
	header["Kvd-Revision"] = []string{strconv.FormatUint(res.Revision, 10)}
	header["Kvd-Deleted"] = []string{strconv.Itoa(deleted)}
	if p.prev {
		j := newPrevJSON(&res)
		j.Deleted = &deleted
		writeJSON(w, r, http.StatusOK, jsonType, j)
		return http.StatusOK, nil
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// resultFault is the error that the result of a write stands for, or nil.
func resultFault(res *kvstore.Result) error {
	switch res.Code {
	case kvstore.ConditionFailed:
		detail := "the key has another revision"
		if res.ModRevision == 0 {
			detail = "there is no such key"
		}
		return &fault{cause: errPrecondition, detail: detail, etag: res.ModRevision, revision: res.Revision, hasRevision: true}
	case kvstore.FutureRevision:
		return &fault{cause: kvstore.ErrFutureRevision, detail: "the store is at revision " + strconv.FormatUint(res.Revision, 10), revision: res.Revision, hasRevision: true}
	case kvstore.LeaseNotFound:
		return errNoLease
	case kvstore.IdempotencyMismatch:
		return &fault{cause: errMismatch, detail: "a request with another content was sent under this key; a new request needs a new key", parameter: "Idempotency-Key"}
	case kvstore.TooLarge:
		return &fault{cause: errTooMuch, detail: "the transaction reads more than one answer holds"}
	case kvstore.BadCommand:
		return &fault{cause: errInternal, detail: "the store refused the command", applied: notApplied}
	}
	return nil
}
