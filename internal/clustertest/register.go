package clustertest

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/internal/kvstore"
)

// era is how long the clients of registers stay with the same keys: a checker
// does not get along with long histories of one.
const era = 5 * time.Second

// registers writes and reads single keys, under conditions and without, until the
// simulation is over.
func (s *sim) registers(a *client, keys int) {
	seen := make(map[string]uint64)
	for n := uint64(1); !s.over(); n++ {
		a.pause(160 * time.Millisecond)
		key := fmt.Sprintf("r/%d/%d", time.Since(s.begun)/era, a.rng.IntN(keys))
		in := input{op: a.rng.IntN(5), key: key, value: a.id<<32 | n, revision: seen[key]}
		if in.op == opCAS && in.revision == 0 {
			in.op = opPut
		}
		if in.op == opDelete && a.rng.IntN(3) != 0 {
			in.op = opGet
		}
		called := time.Now()
		out, ok := s.register(a, in)
		if !ok {
			continue
		}
		if out.revision != 0 && out.revision != anyRevision {
			seen[key] = out.revision
		}
		s.record(int(a.id), in, out, called)
	}
}

// value is what is stored for n.
func value(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// register does one operation; false: it had no effect and no answer.
func (s *sim) register(a *client, in input) (output, bool) {
	if in.op == opGet {
		return s.readRegister(a, in.key)
	}
	q := call{method: "PUT", path: "/v1/kv/" + in.key, header: make(http.Header), body: []byte(value(in.value))}
	switch in.op {
	case opCAS:
		q.header.Set("If-Match", tag(in.revision))
	case opCreate:
		q.header.Set("If-None-Match", "*")
	case opDelete:
		q.method, q.body = "DELETE", nil
	}
	r, o := (*reply)(nil), unknown
	if a.rng.IntN(2) == 0 {
		r, o = a.surely(q, 3)
	} else {
		r, o = a.once(q)
	}
	switch {
	case o == unknown:
		return output{unknown: true}, true
	case o == notApplied:
		if in.op != opDelete {
			s.claims.never(value(in.value))
		}
		return output{}, false
	case r.status == http.StatusPreconditionFailed:
		s.claims.never(value(in.value))
		s.claims.count("condition that failed")
		return output{failed: true, revision: r.etag()}, true
	case in.op == opDelete:
		found := r.header.Get("Kvd-Deleted") == "1"
		if found {
			s.claims.write(r.revision(), change{kvstore.EventDelete, in.key, ""})
		}
		return output{found: found}, true
	}
	s.claims.write(r.etag(), change{kvstore.EventPut, in.key, value(in.value)})
	if r.header.Get("Idempotent-Replay") != "" {
		s.claims.count("replay")
	}
	return output{revision: r.etag()}, true
}

func (s *sim) readRegister(a *client, key string) (output, bool) {
	r, o := a.once(call{method: "GET", path: "/v1/kv/" + key})
	if o != answered {
		return output{}, false
	}
	return s.claimRead(a, key, r), true
}

// claimRead takes note of what a GET of one key has found.
func (s *sim) claimRead(a *client, key string, r *reply) output {
	c := readClaim{at: r.revision(), prefix: key, exact: true, found: make(map[string]version), who: fmt.Sprintf("client %d", a.id)}
	out := output{}
	if r.status == http.StatusOK {
		c.found[key] = version{string(r.body), r.etag()}
		out = output{found: true, revision: r.etag()}
		if len(r.body) == 8 {
			out.value = binary.BigEndian.Uint64(r.body)
		}
	}
	s.claims.read(c)
	return out
}

func (s *sim) record(client int, in input, out output, called time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ret := time.Now().UnixNano()
	if out.unknown {
		s.unknown++
		ret = 1<<63 - 1 // it may take effect at any later time
	} else {
		s.good++
	}
	s.history = append(s.history, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: called.UnixNano(), Return: ret})
}
