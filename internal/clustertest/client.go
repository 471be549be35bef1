package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// patience is how long clients of the simulation wait for an answer.
const patience = 4 * time.Second

// client speaks HTTP to members at random, over connections that take time and
// lose some of what they carry. One goroutine uses it.
type client struct {
	c     *Cluster
	id    uint64
	rng   *rand.Rand
	lossy bool // now and then a request or an answer is lost
	n     int  // idempotency keys so far
}

// A call is one request as its sender sees it.
type call struct {
	method, path string
	header       http.Header
	body         []byte
}

// outcome is what a client knows of a request.
type outcome int

const (
	unknown    outcome = iota // it may have been applied, or will be
	notApplied                // certainly not, and never will be
	answered                  // the reply says it
)

// problem is what problem documents say that matters here.
type problem struct {
	Code    string `json:"code"`
	Outcome string `json:"outcome"`
}

// member picks one that runs, or nil.
func (a *client) member() *server {
	members := a.c.Members()
	first := a.rng.IntN(len(members))
	for i := range members {
		if srv := members[(first+i)%len(members)].Server(); srv != nil {
			return srv
		}
	}
	return nil
}

func (a *client) pause(most time.Duration) {
	time.Sleep(time.Duration(a.rng.Int64N(int64(most))))
}

// wire is how long something is on its way, and whether it arrives.
func (a *client) wire() bool {
	time.Sleep(time.Duration(a.rng.IntN(1500)) * time.Microsecond)
	return !a.lossy || a.rng.IntN(150) != 0
}

// do sends a request to a member and waits for its answer.
func (a *client) do(srv *server, q call) (*reply, error) {
	if srv == nil {
		return nil, errRefused
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !a.wire() {
		<-ctx.Done()
		return nil, errSilence
	}
	if srv.life.Err() != nil {
		return nil, errRefused
	}
	r, err := srv.connect(ctx, &a.c.Net.wg, q.method, q.path, q.header, q.body).answer(ctx)
	if err != nil {
		return nil, err
	}
	if !a.wire() {
		<-ctx.Done()
		return nil, errSilence
	}
	r.at = time.Now()
	a.c.trace.add(traceAnswer, a.id, uint64(r.status), r.revision())
	return r, nil
}

// once sends a request, and says what is known of it then. A read that fails has
// not been applied.
func (a *client) once(q call) (*reply, outcome) { return a.ask(a.member(), q) }

// ask is once, of one member.
func (a *client) ask(srv *server, q call) (*reply, outcome) {
	since := a.c.truth.newest()
	r, err := a.do(srv, q)
	switch {
	case err == errRefused:
		return nil, notApplied
	case err != nil:
		return nil, unknown
	}
	if r.status >= 400 {
		p := r.problem()
		switch {
		case p.Outcome == "unknown":
			return nil, unknown
		case r.status == 400, r.status == 405, r.status == 422, r.status == 500:
			a.c.violated(fmt.Sprintf("%s %s was answered with %d %s", q.method, q.path, r.status, r.body))
		case r.status == 404, r.status == 410, r.status == 412:
		default:
			return nil, notApplied
		}
	}
	// Whatever has an answer has seen all that was answered before it was asked.
	if rev := r.revision(); rev > 0 && r.header.Get("Idempotent-Replay") == "" && !strings.Contains(q.path, "consistency=stale") && !strings.Contains(q.path, "revision=") {
		if rev < since {
			a.c.violated(fmt.Sprintf("%s %s was answered from revision %d after others had been told %d", q.method, q.path, rev, since))
		}
		a.c.truth.told(rev)
	}
	return r, answered
}

// surely sends a write until its answer is known, or patience ends, under one
// idempotency key.
func (a *client) surely(q call, tries int) (*reply, outcome) {
	a.n++
	if q.header == nil {
		q.header = make(http.Header)
	}
	q.header.Set("Idempotency-Key", fmt.Sprintf("c%d-%d", a.id, a.n))
	became := notApplied
	for range tries {
		q.header = q.header.Clone()
		r, o := a.once(q)
		if o == answered {
			return r, answered
		}
		if o == unknown {
			became = unknown
		}
		a.pause(300 * time.Millisecond)
	}
	return nil, became
}

// revision is the store's, as the answer tells it; 0: it does not.
func (r *reply) revision() uint64 {
	n, _ := strconv.ParseUint(r.header.Get("Kvd-Revision"), 10, 64)
	return n
}

// etag is the revision of the key; 0: none.
func (r *reply) etag() uint64 {
	n, _ := strconv.ParseUint(strings.Trim(r.header.Get("Etag"), `"`), 10, 64)
	return n
}

func (r *reply) problem() problem {
	var p problem
	_ = json.Unmarshal(r.body, &p) // what is none has no code
	return p
}

func tag(revision uint64) string { return fmt.Sprintf(`"%d"`, revision) }
