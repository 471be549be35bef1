package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	kvd "kvd/client"
)

// Each of writers clients writes keysEach keys of its own, over and over.
const (
	writers  = 6
	keysEach = 24
	bigKeys  = 2 // of those, how many get large values
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
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startLoad lets the writers write through the given members until stop.
func startLoad(h *history, endpoints []string, rng *rand.Rand) (*load, error) {
	c, err := kvd.New(kvd.Config{Endpoints: endpoints, Timeout: 3 * time.Second, AttemptTimeout: time.Second})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: c, cancel: cancel}
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

// stop ends the load and waits for the writers.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.client.Close()
}

// write does one write and notes what became of it; false: every key is uncertain.
func (l *load) write(ctx context.Context, records []*record, rng *rand.Rand) bool {
	start := rng.IntN(len(records))
	r := certainFrom(records, start)
	if r == nil {
		return false
	}
	switch kind := rng.IntN(20); {
	case kind < 2:
		_, err := l.client.Delete(ctx, r.key, nil)
		noteWrite(r, state{}, err)
	case kind < 5:
		l.writeTwo(ctx, r, certainFrom(records, start+1), rng)
	default:
		size := 20 + rng.IntN(400)
		if slices.Index(records, r) < bigKeys {
			size = 1<<10 + rng.IntN(256<<10)
		}
		want := state{op: r.next(), size: size}
		res, err := l.client.Put(ctx, r.key, value(r.key, want.op, size), nil)
		if err == nil {
			want.revision = res.ModRevision
		}
		noteWrite(r, want, err)
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
	noteWrite(a, wantA, err)
	if a != b {
		noteWrite(b, wantB, err)
	}
}

// noteWrite notes what became of a write, now.
func noteWrite(r *record, want state, err error) {
	if err == nil {
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
