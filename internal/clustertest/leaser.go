package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"kvd/internal/kvstore"
)

// leaser gives keys a time to live: their own, or a lease's that it renews for a
// while and then lets go, or takes back.
func (s *sim) leaser(a *client) {
	for n := 0; !s.over(); n++ {
		a.pause(700 * time.Millisecond)
		ttl := time.Duration(1000+a.rng.IntN(3000)) * time.Millisecond
		if a.rng.IntN(2) == 0 {
			s.putWithLife(a, n, "ttl="+ttl.String(), lifeClaim{ttl: ttl})
			continue
		}
		s.lease(a, n, ttl)
	}
}

// putWithLife writes a key that ends.
func (s *sim) putWithLife(a *client, n int, parameter string, l lifeClaim) {
	key, v := fmt.Sprintf("l/%d/%d", a.id, n), fmt.Sprintf("%d-%d %s", a.id, n, parameter)
	l.from = time.Now()
	s.claims.life(v, l) // whatever becomes of the answer
	r, o := a.surely(call{method: "PUT", path: "/v1/kv/" + key + "?" + parameter, body: []byte(v)}, 4)
	switch {
	case o == notApplied || o == answered && r.status >= 400:
		s.claims.never(v)
	case o == answered:
		s.claims.write(r.etag(), change{kvstore.EventPut, key, v})
		s.claims.count("key with a TTL or lease")
	}
}

func (s *sim) lease(a *client, n int, ttl time.Duration) {
	asked := time.Now()
	r, o := a.surely(call{method: "POST", path: "/v1/leases", body: fmt.Appendf(nil, `{"ttl":%q}`, ttl)}, 4)
	if o != answered || r.status != http.StatusCreated {
		return
	}
	var lease struct{ ID string }
	if err := json.Unmarshal(r.body, &lease); err != nil {
		s.c.violated(fmt.Sprintf("a lease was answered with %q: %v", r.body, err))
		return
	}
	s.claims.renew(lease.ID, renewal{asked, r.at})
	s.putWithLife(a, n, "lease="+lease.ID, lifeClaim{lease: lease.ID, ttl: ttl})
	for range a.rng.IntN(4) {
		a.pause(ttl)
		asked := time.Now()
		r, o := a.surely(call{method: "POST", path: "/v1/leases/" + lease.ID + "/keepalive"}, 2)
		if o == answered && r.status == http.StatusNotFound {
			s.claims.count("lease that had ended")
			return
		}
		if o == answered {
			s.claims.renew(lease.ID, renewal{asked, r.at})
		}
	}
	if a.rng.IntN(3) == 0 {
		if _, o := a.surely(call{method: "DELETE", path: "/v1/leases/" + lease.ID}, 2); o == answered {
			s.claims.count("lease taken back")
		}
	}
}
