package load

import (
	"net/http"
	"net/url"
	"strconv"

	"kvd/test/chaos/history"
)

// keyPath is the path of a key of ours, which holds nothing that needs escaping.
func keyPath(key string) string { return "/v1/kv/" + key }

// get reads a key as o says, which holds what was asked.
func (c *client) get(o *history.Op) *answer {
	q := request{method: http.MethodGet, path: keyPath(o.Key), query: readQuery(o)}
	long := c.rng.IntN(4) == 0
	if long {
		q.header = []string{"Accept", "application/json"}
	}
	r := c.try(o, q)
	if r == nil || r.status != http.StatusOK {
		return r
	}
	o.Hit = true
	if !long {
		o.Seen = []history.Item{{Key: o.Key, Value: history.Short(r.body), ModRevision: r.etag()}}
		return r
	}
	var j itemJSON
	if c.decode(q, r, &j) {
		o.Seen = []history.Item{j.item()}
	}
	return r
}

// readQuery are the parameters of a read.
func readQuery(o *history.Op) url.Values {
	v := url.Values{}
	switch o.Mode {
	case history.Stale:
		v.Set("consistency", "stale")
	case history.MinRevision:
		v.Set("min_revision", strconv.FormatUint(o.AtRevision, 10))
	case history.AtRevision:
		v.Set("revision", strconv.FormatUint(o.AtRevision, 10))
	}
	return v
}

// write puts or deletes a key as o says.
func (c *client) write(o *history.Op) *answer {
	q := request{method: http.MethodPut, path: keyPath(o.Key), body: []byte(o.Value), query: url.Values{}}
	if o.Kind == history.Delete {
		q.method, q.body = http.MethodDelete, nil
	}
	switch o.If {
	case history.Absent:
		q.header = append(q.header, "If-None-Match", "*")
	case history.Present:
		q.header = append(q.header, "If-Match", "*")
	case history.IfRevision:
		q.header = append(q.header, "If-Match", strconv.Quote(strconv.FormatUint(o.OverRevision, 10)))
	}
	if o.IdempotencyKey != "" {
		q.header = append(q.header, "Idempotency-Key", o.IdempotencyKey)
	}
	if o.TTL > 0 {
		q.query.Set("ttl", o.TTL.String())
	}
	if o.Lease != "" {
		q.query.Set("lease", o.Lease)
	}
	r := c.try(o, q)
	if r == nil {
		return nil
	}
	switch r.status {
	case http.StatusCreated:
		o.Hit = true
	case http.StatusNoContent:
		o.Hit = true
		if o.Kind == history.Delete {
			o.Hit = r.header.Get("Kvd-Deleted") == "1"
			if o.Hit {
				o.Deleted = 1
			}
		}
	case http.StatusPreconditionFailed:
		if rev := r.etag(); rev != 0 {
			o.Seen = []history.Item{{Key: o.Key, ModRevision: rev, NoValue: true}}
		}
	}
	return r
}
