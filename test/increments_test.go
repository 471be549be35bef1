package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestIncrements has clients count up a few keys by transactions under
// idempotency keys while members are killed and frozen. They give up on answers
// after moments, as if cut off, and send the same again, blindly, to anybody:
// each increment that was meant must count once.
func TestIncrements(t *testing.T) {
	seconds := envNumber(t, "KVD_INCREMENT_SECONDS", 8)
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	c := startCluster(t, 3, "--tick", "50ms", "--snapshot-entries", "1000")

	const clients, counters = 8, 4
	done := make(chan struct{})
	end := time.AfterFunc(time.Duration(seconds)*time.Second, sync.OnceFunc(func() { close(done) }))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		if end.Stop() {
			close(done)
		}
	}()
	var counted [counters]atomic.Int64
	var tries, replays atomic.Int64
	for i := range clients {
		in := &incrementer{t: t, id: i, c: c, rng: rand.New(rand.NewPCG(seed, uint64(100+i))), http: newClient(), tries: &tries, replays: &replays}
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				n := in.rng.IntN(counters)
				if in.increment(fmt.Sprint("counter/", n)) {
					counted[n].Add(1)
				}
			}
		})
	}
	n := newNemesis(t, c, seed)
	n.run(done)
	wg.Wait()

	c.waitReady()
	total := int64(0)
	for i := range counters {
		want := counted[i].Load()
		total += want
		for _, m := range c.members {
			r := m.call(http.MethodGet, fmt.Sprint("/v1/kv/counter/", i), nil)
			if got, _ := strconv.ParseInt(string(r.body), 10, 64); got != want {
				t.Errorf("counter %d on %s: got %s, want %d increments", i, m.name(), r.body, want)
			}
		}
	}
	t.Logf("%d increments in %d tries, %d answers were replays; faults %v", total, tries.Load(), replays.Load(), n.count)
	if total < int64(seconds)*20 || replays.Load() == 0 {
		t.Errorf("%d increments and %d replays show nothing", total, replays.Load())
	}
}

// incrementer is one client.
type incrementer struct {
	t              *testing.T
	id, keys       int
	c              *cluster
	rng            *rand.Rand
	http           *http.Client
	tries, replays *atomic.Int64
}

// increment raises the number under key by one, and reports false when another
// was faster. It does not return before it knows.
func (in *incrementer) increment(key string) bool {
	r := in.insist(http.MethodGet, "/v1/kv/"+key, nil, http.StatusOK, http.StatusNotFound)
	value, _ := strconv.Atoi(string(r.body))
	old := r.revision()
	if r.status == http.StatusNotFound {
		value, old = 0, 0
	}
	in.keys++
	body := fmt.Sprintf(`{"if":[{"key":%q,"mod_revision":{"eq":%d}}],"then":[{"put":{"key":%q,"value":"%d"}}]}`, key, old, key, value+1)
	r = in.insist(http.MethodPost, "/v1/txn", []byte(body), http.StatusOK)
	var answer struct {
		Succeeded *bool `json:"succeeded"`
	}
	if err := json.Unmarshal(r.body, &answer); err != nil || answer.Succeeded == nil {
		in.t.Errorf("answer to a transaction: %s", r.body)
		return false
	}
	if r.header.Get("Idempotent-Replay") == "true" {
		in.replays.Add(1)
	}
	return *answer.Succeeded
}

// insist sends a request to one member after the other, with ever new patience
// and always the same idempotency key, until one answers with one of codes.
func (in *incrementer) insist(method, path string, body []byte, codes ...int) *response {
	header := []string{}
	if method != http.MethodGet {
		header = append(header, "Idempotency-Key", fmt.Sprintf("increment-%d-%d", in.id, in.keys))
	}
	for {
		m := in.c.members[in.rng.IntN(len(in.c.members))]
		patience := time.Duration(1+in.rng.IntN(40)) * time.Millisecond
		if in.rng.IntN(3) == 0 {
			patience = 2 * time.Second
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		in.tries.Add(1)
		r, err := sendWith(ctx, in.http, method, m.clientURL+path, body, header...)
		cancel()
		if err == nil && r.want(codes...) == nil {
			return r
		}
		if err == nil && r.status < 500 && r.status != http.StatusTooManyRequests {
			in.t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
		}
		if err != nil || r.status >= 500 {
			<-time.After(time.Duration(in.rng.IntN(20)) * time.Millisecond)
		}
	}
}
