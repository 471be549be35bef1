package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestLeases gives 200 leases and keys with a TTL while leaders are killed and
// members frozen. None may end before its time, counted from when it was last
// asked for, and none later than its time, counted from the last answer, and an
// election; one that was kept alive was not over.
func TestLeases(t *testing.T) {
	const (
		total    = 200
		workers  = 50
		tick     = 50 * time.Millisecond
		election = 2 * 10 * tick           // followers wait one to two election timeouts
		grace    = 1500 * time.Millisecond // for a machine that does other things
	)
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	c := startCluster(t, 3, "--tick", tick.String(), "--snapshot-entries", "200")

	ctx, cancel := context.WithCancel(t.Context())
	var observers, holders sync.WaitGroup
	defer observers.Wait()
	defer cancel()
	seen := &expiries{at: map[string]time.Time{}}
	for _, m := range c.members {
		observers.Go(func() { seen.watch(ctx, m) })
	}

	done := make(chan struct{})
	lives := make(chan *life, total)
	for w := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		holders.Go(func() {
			for i := range total / workers {
				l := &life{t: t, c: c, rng: rng, key: fmt.Sprintf("life/%d/%d", w, i)}
				l.run(i%4 == 0)
				lives <- l
			}
		})
	}
	n := newNemesis(t, c, seed)
	n.among = slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !f.quorum }) // without one, nothing can end
	go func() { holders.Wait(); close(done) }()
	n.run(done)
	close(lives)

	waitFor(t, 30*time.Second, "the end of all leases", func() error {
		if left := total - seen.count(); left > 0 {
			return fmt.Errorf("%d have not ended", left)
		}
		return nil
	})
	var latest time.Duration
	earliest, kept, refused := time.Hour, 0, 0
	for l := range lives {
		at := seen.when(l.key)
		early, late := at.Sub(l.asked.Add(l.ttl)), at.Sub(l.answered.Add(l.ttl))
		if early < 0 {
			t.Errorf("%s, ttl %v, ended %v before its time", l.key, l.ttl, -early)
		}
		if late > election+grace {
			t.Errorf("%s, ttl %v, ended %v after its time", l.key, l.ttl, late)
		}
		earliest, latest = min(earliest, early), max(latest, late)
		kept += l.kept
		if l.refused {
			refused++
		}
	}
	t.Logf("%d leases, %d keepalives, %d came too late; ended %v to %v after their time; faults %v", total, kept, refused, earliest, latest, n.count)
	if kept < total/2 {
		t.Errorf("%d keepalives show little", kept)
	}
}

// life is one lease with a key, or one key with a TTL.
type life struct {
	t   *testing.T
	c   *cluster
	rng *rand.Rand
	key string

	ttl             time.Duration
	asked, answered time.Time // of the last grant or keepalive that was answered with yes
	kept            int
	refused         bool // the last keepalive found nothing
}

// run begins the life and keeps it for a while.
func (l *life) run(single bool) {
	l.ttl = time.Duration(1000+l.rng.IntN(3000)) * time.Millisecond
	asked := time.Now()
	if single {
		l.insist(http.MethodPut, "/v1/kv/"+l.key+"?ttl="+l.ttl.String(), "x", "put", http.StatusCreated)
		l.asked, l.answered = asked, time.Now()
		return
	}
	var lease struct {
		ID string `json:"id"`
	}
	for lease.ID == "" {
		asked = time.Now()
		r := l.insist(http.MethodPost, "/v1/leases", fmt.Sprintf(`{"ttl":%q}`, l.ttl), fmt.Sprint("grant", asked.UnixNano()), http.StatusCreated)
		if err := json.Unmarshal(r.body, &lease); err != nil {
			l.t.Errorf("grant: %v in %s", err, r.body)
			return
		}
		l.asked, l.answered = asked, time.Now()
		// It may be over before the key is there: then another is taken.
		r = l.insist(http.MethodPut, "/v1/kv/"+l.key+"?lease="+lease.ID, "x", "attach"+lease.ID, http.StatusCreated, http.StatusNotFound)
		if r.status == http.StatusNotFound {
			if time.Since(l.asked) < l.ttl {
				l.t.Errorf("%s: lease %s is gone %v after it was asked for, ttl %v", l.key, lease.ID, time.Since(l.asked), l.ttl)
			}
			lease.ID = ""
		}
	}
	for range l.rng.IntN(4) {
		<-time.After(time.Duration(float64(l.ttl) * (0.2 + 0.6*l.rng.Float64())))
		asked := time.Now()
		r := l.insist(http.MethodPost, "/v1/leases/"+lease.ID+"/keepalive", "", "", http.StatusOK, http.StatusNotFound)
		if r.status == http.StatusNotFound {
			l.refused = true
			l.answered = time.Now() // an attempt without an answer may have prolonged it once more
			if since := time.Since(l.asked); since < l.ttl {
				l.t.Errorf("%s: lease %s is gone %v after it was last asked for, ttl %v", l.key, lease.ID, since, l.ttl)
			}
			return
		}
		l.kept++
		l.asked, l.answered = asked, time.Now()
	}
}

// insist sends a request to one member after the other until one answers with
// one of codes. A keepalive has no idempotency key: each attempt counts anew, and
// asked stays the time of the first, which can only make the demand on "never
// early" weaker by the length of the retries.
func (l *life) insist(method, path, body, key string, codes ...int) *response {
	for {
		m := l.c.members[l.rng.IntN(len(l.c.members))]
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		var header []string
		if key != "" {
			header = []string{"Idempotency-Key", l.key + "/" + key}
		}
		var b []byte
		if body != "" {
			b = []byte(body)
		}
		r, err := send(ctx, method, m.clientURL+path, b, header...)
		cancel()
		if err == nil && r.want(codes...) == nil {
			return r
		}
		if err == nil && r.status < 500 {
			l.t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
		}
		<-time.After(time.Duration(10+l.rng.IntN(40)) * time.Millisecond)
	}
}

// expiries are the moments at which keys ended, seen by whoever saw it first.
type expiries struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (e *expiries) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.at)
}

func (e *expiries) when(key string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at[key]
}

// watch notes what one member tells, over all of its lives, until ctx ends.
func (e *expiries) watch(ctx context.Context, m *member) {
	since := uint64(0)
	for ctx.Err() == nil {
		w, err := openWatch(ctx, m, fmt.Sprintf("prefix=life/&events=expire&consistency=stale&since=%d", since))
		for err == nil {
			var ev watchEvent
			if ev, err = w.next(); err == nil && ev.Type == "expire" {
				now := time.Now()
				e.mu.Lock()
				if _, ok := e.at[ev.Key]; !ok {
					e.at[ev.Key] = now
				}
				e.mu.Unlock()
			}
			since = max(since, ev.ID)
		}
		if w != nil {
			w.close()
		}
		pause(ctx.Done(), 20*time.Millisecond)
	}
}
