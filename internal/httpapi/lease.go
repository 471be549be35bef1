package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kvd/internal/kvstore"
)

const (
	takesTTL     = "a duration from 1s to 87600h"
	takesLease   = "the id of a lease: 16 hexadecimal digits, lower case"
	leasesPrefix = "/v1/leases/"
	keepaliveEnd = "/keepalive"
)

// parseTTL reads a time to live.
func parseTTL(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= kvstore.MinTTL && d <= kvstore.MaxTTL
}

// setLease reads the one spelling of a lease's id.
func setLease(id *kvstore.LeaseID, s string) bool {
	var ok bool
	*id, ok = kvstore.ParseLeaseID(s)
	return ok && *id != 0
}

// leaseFromURL reads the id between the leases' path and end.
func leaseFromURL(r *http.Request, end string) (id kvstore.LeaseID, err error) {
	text := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, leasesPrefix), end)
	if !setLease(&id, text) {
		return 0, badParameter("id", "takes "+takesLease)
	}
	return id, nil
}

// leaseJSON is a lease in JSON.
type leaseJSON struct {
	ID        string    `json:"id"`
	TTL       Duration  `json:"ttl"`
	Remaining *Duration `json:"remaining,omitempty"`
	Keys      *[]string `json:"keys,omitempty"` // never null where it is shown
	KeysBytes [][]byte  `json:"keys_base64,omitempty"`
}

// newLeaseJSON is what a read shows.
func (h *Handler) newLeaseJSON(l *kvstore.Lease) leaseJSON {
	return leaseJSON{ID: l.ID.String(), TTL: Duration(l.TTL), Remaining: new(h.remaining(l.Deadline))}
}

// remaining is the time to a deadline on the log's clock, rounded so that it
// never promises more than there is.
func (h *Handler) remaining(deadline time.Duration) Duration {
	return Duration(max(deadline-h.cfg.Cluster.LogClock(), 0).Truncate(time.Millisecond))
}

// grantJSON is the body of POST /v1/leases.
type grantJSON struct {
	TTL string `json:"ttl"`
}

// grantLease serves POST /v1/leases.
func (h *Handler) grantLease(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return 0, err
	}
	var j grantJSON
	if err := readJSON(r, &j); err != nil {
		return 0, err
	}
	ttl, ok := parseTTL(j.TTL)
	if !ok {
		return 0, badParameter("ttl", "takes "+takesTTL)
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	res, err := h.cfg.Store.GrantLease(ctx, ttl, kvstore.WriteOptions{IdempotencyKey: key})
	if err := settle(w.Header(), &res, err); err != nil {
		return 0, err
	}
	answer := leaseJSON{ID: res.Lease.String(), TTL: Duration(res.TTL)}
	header := w.Header()
	header["Kvd-Revision"] = []string{strconv.FormatUint(res.Revision, 10)}
	header["Location"] = []string{leasesPrefix + answer.ID}
	writeJSON(w, r, http.StatusCreated, jsonType, &answer)
	return http.StatusCreated, nil
}

// keepAlive serves POST of a lease's keepalive.
func (h *Handler) keepAlive(w http.ResponseWriter, r *http.Request) (int, error) {
	res, err := h.writeLease(w, r, keepaliveEnd, h.cfg.Store.KeepAlive)
	if err != nil {
		return 0, err
	}
	// The whole TTL: nothing else is true at the moment that the log gave it.
	writeJSON(w, r, http.StatusOK, jsonType, map[string]Duration{"remaining": Duration(res.TTL)})
	return http.StatusOK, nil
}

// revokeLease serves DELETE of a lease, and of all its keys.
func (h *Handler) revokeLease(w http.ResponseWriter, r *http.Request) (int, error) {
	res, err := h.writeLease(w, r, "", h.cfg.Store.RevokeLease)
	if err != nil {
		return 0, err
	}
	w.Header()["Kvd-Deleted"] = []string{strconv.FormatUint(res.Deleted, 10)}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// leaseWrite is a method of a Store that changes one lease.
type leaseWrite func(context.Context, kvstore.LeaseID, kvstore.WriteOptions) (kvstore.Result, error)

func (h *Handler) writeLease(w http.ResponseWriter, r *http.Request, end string, write leaseWrite) (kvstore.Result, error) {
	var none kvstore.Result
	id, err := leaseFromURL(r, end)
	if err != nil {
		return none, err
	}
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return none, err
	}
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return none, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	res, err := write(ctx, id, kvstore.WriteOptions{IdempotencyKey: key})
	if err := settle(w.Header(), &res, err); err != nil {
		return none, err
	}
	w.Header()["Kvd-Revision"] = []string{strconv.FormatUint(res.Revision, 10)}
	return res, nil
}

// getLease serves GET of one lease with its keys.
func (h *Handler) getLease(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := leaseFromURL(r, "")
	if err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramsNow)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if err := h.beforeRead(ctx, w, &p); err != nil {
		return 0, err
	}
	l, found, err := h.cfg.Store.Lease(ctx, id, p.readOptions())
	if err != nil {
		return 0, p.readFault(err)
	}
	if !found {
		return 0, errNoLease
	}
	j := h.newLeaseJSON(&l)
	keys := []string{}
	for _, key := range l.Keys {
		if utf8.Valid(key) {
			keys = append(keys, string(key))
		} else {
			j.KeysBytes = append(j.KeysBytes, key)
		}
	}
	j.Keys = &keys
	writeJSON(w, r, http.StatusOK, jsonType, &j)
	return http.StatusOK, nil
}

// listLeases serves GET of all leases, without their keys.
func (h *Handler) listLeases(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramsNow)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if err := h.beforeRead(ctx, w, &p); err != nil {
		return 0, err
	}
	leases, err := h.cfg.Store.Leases(ctx, p.readOptions())
	if err != nil {
		return 0, p.readFault(err)
	}
	all := make([]leaseJSON, len(leases))
	for i := range leases {
		all[i] = h.newLeaseJSON(&leases[i])
	}
	writeJSON(w, r, http.StatusOK, jsonType, all)
	return http.StatusOK, nil
}

// errNoLease does not tell one that has ended from one that never was: the
// store does not remember them.
var errNoLease = &fault{cause: errNotFound, detail: "no such lease"}
