package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	kvd "kvd/client"
)

// Each of writers clients writes keysEach keys of its own, over and over. The first
// of them gets large values in a heavy load, so that segments of the log (64 MB) are
// filled and given up every few cycles: only then does all depend on snapshots.
const (
	writers  = 6
	keysEach = 24
	bigBytes = 900 << 10
)

// history is what is known of all keys of a cluster.
type history struct {
	records [writers][]*record
	byKey   map[string]*record
	last    uint64 // the newest revision that is known to be there
}

func newHistory() *history {
	h := &history{byKey: map[string]*record{}}
	for w := range h.records {
		for k := range keysEach {
			r := &record{key: fmt.Sprintf("w%d/%02d", w, k)}
			h.records[w] = append(h.records[w], r)
			h.byKey[r.key] = r
		}
	}
	return h
}

// load is the clients at work.
type load struct {
	client *kvd.Client
	heavy  bool
	cancel context.CancelFunc
	wg     sync.WaitGroup
	acks   atomic.Int64
}

// startLoad lets the writers write through the given members until stop.
func startLoad(h *history, endpoints []string, heavy bool, rng *rand.Rand) (*load, error) {
	c, err := kvd.New(kvd.Config{Endpoints: endpoints, Timeout: 3 * time.Second, AttemptTimeout: time.Second})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: c, heavy: heavy, cancel: cancel}
	for w := range h.records {
		rng := rand.New(rand.NewPCG(rng.Uint64(), uint64(w)))
		l.wg.Go(func() {
			for ctx.Err() == nil {
				if !l.write(ctx, h.records[w], rng) {
					return
				}
			}
		})
	}
	return l, nil
}

// waitFor waits until so many writes were acknowledged, or no more are to be hoped
// for. The power then fails while others are under way.
func (l *load) waitFor(ctx context.Context, acks int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for l.acks.Load() < int64(acks) {
		select {
		case <-tick.C:
		case <-late:
			return
		case <-ctx.Done():
			return
		}
	}
}

// stop ends the load and waits for the writers.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.client.Close()
}

// write does one write and notes what became of it; false: every key is uncertain.
func (l *load) write(ctx context.Context, records []*record, rng *rand.Rand) bool {
	start, most := rng.IntN(len(records)), 400
	if l.heavy && rng.IntN(4) == 0 && !records[0].uncertain() {
		start, most = 0, bigBytes
	}
	r := certainFrom(records, start)
	if r == nil {
		return false
	}
	switch kind := rng.IntN(20); {
	case kind < 2:
		_, err := l.client.Delete(ctx, r.key, nil)
		l.note(r, state{}, err)
	case kind < 5:
		l.writeTwo(ctx, r, certainFrom(records, start+1), rng)
	default:
		want := state{op: r.next(), size: 20 + rng.IntN(most)}
		res, err := l.client.Put(ctx, r.key, value(r.key, want.op, want.size), nil)
		if err == nil {
			want.revision = res.ModRevision
		}
		l.note(r, want, err)
	}
	return true
}

// writeTwo puts one key, and puts or deletes another, in one transaction.
func (l *load) writeTwo(ctx context.Context, a, b *record, rng *rand.Rand) {
	wantA := state{op: a.next(), size: 100}
	txn := kvd.Txn{Then: []kvd.Op{kvd.PutOp(a.key, value(a.key, wantA.op, wantA.size), nil)}}
	var wantB state
	if a != b && rng.IntN(2) == 0 {
		wantB = state{op: b.next(), size: 100}
		txn.Then = append(txn.Then, kvd.PutOp(b.key, value(b.key, wantB.op, wantB.size), nil))
	} else if a != b {
		txn.Then = append(txn.Then, kvd.DeleteOp(b.key, false))
	}
	res, err := l.client.Txn(ctx, txn)
	if err == nil {
		wantA.revision = res.Revision
		if wantB.op != 0 {
			wantB.revision = res.Revision
		}
	}
	l.note(a, wantA, err)
	if a != b {
		l.note(b, wantB, err)
	}
}

// note notes what became of a write, now.
func (l *load) note(r *record, want state, err error) {
	if err == nil {
		l.acks.Add(1)
		r.note(want, time.Now())
		return
	}
	if e, ok := errors.AsType[*kvd.Error](err); ok && e.Outcome == kvd.NotApplied {
		return
	}
	r.note(want, time.Time{})
}

// certainFrom finds a key of which it is known what it holds; nil: there is none.
func certainFrom(records []*record, start int) *record {
	for i := range records {
		if r := records[(start+i)%len(records)]; !r.uncertain() {
			return r
		}
	}
	return nil
}
