package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"kvd/client"
	"kvd/internal/load"
	"kvd/internal/load/kvdload"
)

const (
	benchPrefix = "kvd-bench/"
	benchDigits = 9 // of a key's number
	benchPage   = 100

	// Keys are written by transactions, of so many puts and bytes at most.
	benchFillers   = 8
	benchFillOps   = 100
	benchFillBytes = 256 << 10

	// Keys are deleted by requests of so many at most: those whose numbers
	// begin alike. All at once would hold everybody else up.
	benchTidyDigits = benchDigits - 4

	benchTidyLimit = time.Minute
	benchPatience  = 5 * time.Second // with the first request
)

// benchClasses are the classes of the loop.
var benchClasses = []string{"reads", "writes"}

const (
	benchRead = iota
	benchWrite
)

// benchLoad is one run of kvd bench.
type benchLoad struct {
	c      *benchConfig
	client *client.Client
	prefix string
	value  []byte
	begun  bool // there may be keys
}

func newBenchLoad(c *benchConfig) (*benchLoad, error) {
	cl, err := client.New(client.Config{Endpoints: c.Endpoints})
	if err != nil {
		return nil, err
	}
	return &benchLoad{
		c: c, client: cl, prefix: benchPrefix + strings.ToLower(rand.Text()[:8]) + "/",
		value: bytes.Repeat([]byte("kvd-bench-"), int(c.ValueBytes)/10+1)[:c.ValueBytes],
	}, nil
}

func (l *benchLoad) close() { l.client.Close() }

// appendKey appends the key with this number.
func (l *benchLoad) appendKey(b []byte, number uint64) []byte {
	b = append(b, l.prefix+"000000000"...)
	for i := len(b) - 1; number > 0; i, number = i-1, number/10 {
		b[i] = byte('0' + number%10)
	}
	return b
}

// run writes the keys and measures. With an error, the result is nil or what was
// measured until then.
func (l *benchLoad) run(ctx context.Context, live *liveLine) (*load.Result, error) {
	// One request first: a cluster that is not there, or has no leader, is
	// told apart from one that is slow.
	first, cancel := context.WithTimeout(ctx, benchPatience)
	defer cancel()
	if _, err := l.client.Count(first, &client.ListOptions{Prefix: l.prefix}); err != nil {
		return nil, fmt.Errorf("first request: %w", err)
	}
	if err := l.fill(ctx, live); err != nil {
		return nil, err
	}
	return load.Run(ctx, load.Config{
		Workers: int(l.c.Clients), Classes: benchClasses, WarmUp: l.c.WarmUp, Duration: l.c.Duration, Progress: live.progress,
	}, func(ctx context.Context, worker int) (load.Worker, error) {
		s, err := kvdload.Open(ctx, l.c.hosts[worker%len(l.c.hosts)], kvdload.Config{
			KeyBytes: len(l.appendKey(nil, 0)), Value: l.value, Page: benchPage,
		})
		if err != nil {
			return nil, err
		}
		return &benchWorker{Session: s, l: l, rng: mathrand.New(mathrand.NewPCG(l.c.Seed, uint64(worker)))}, nil
	})
}

// fill writes all keys, some in each transaction.
func (l *benchLoad) fill(ctx context.Context, live *liveLine) error {
	l.begun = true
	batch := max(1, min(benchFillOps, benchFillBytes/max(1, l.c.ValueBytes)))
	var next, done atomic.Uint64
	res, err := load.Run(ctx, load.Config{
		Workers: benchFillers, Pause: -1,
		Progress: func(load.Progress) { live.say("write keys: %d of %d", done.Load(), l.c.Keys) },
	}, func(context.Context, int) (load.Worker, error) {
		return benchFiller(func(ctx context.Context) error {
			end := next.Add(batch)
			begin := end - batch
			if end = min(end, l.c.Keys); begin >= end {
				return load.ErrDone
			}
			var t client.Txn
			for i := begin; i < end; i++ {
				t.Then = append(t.Then, client.PutOp(string(l.appendKey(nil, i)), l.value, nil))
			}
			if _, err := l.client.Txn(ctx, t); err != nil {
				next.Store(l.c.Keys) // the others need not go on
				return err
			}
			done.Add(end - begin)
			return nil
		}), nil
	})
	if err == nil && res.Failed > 0 {
		err = errors.New(res.Complaint())
	}
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}

// benchFiller is a worker that writes keys.
type benchFiller func(ctx context.Context) error

func (f benchFiller) Do(ctx context.Context) (int, error) { return 0, f(ctx) }
func (f benchFiller) Close() error                        { return nil }

// benchWorker is one client of the loop.
type benchWorker struct {
	*kvdload.Session
	l   *benchLoad
	rng *mathrand.Rand
	key []byte
}

// Do does one operation.
func (w *benchWorker) Do(context.Context) (int, error) {
	c := w.l.c
	w.key = w.l.appendKey(w.key[:0], w.rng.Uint64N(c.Keys))
	switch {
	case c.Op == benchTxn:
		return benchWrite, w.Txn(w.key)
	case c.Op == benchList:
		return benchRead, w.List(w.key)
	case c.Op == benchGet, c.Op == benchMixed && w.rng.Uint64N(100) < c.ReadPercent:
		return benchRead, w.Get(w.key, c.Consistency == consistencyStale)
	}
	return benchWrite, w.Put(w.key)
}

// tidy deletes the keys, also when ctx has ended, or says where they are.
func (l *benchLoad) tidy(ctx context.Context, live *liveLine) error {
	if !l.begun {
		return nil
	}
	if l.c.Keep {
		live.print("the keys are below %s", l.prefix)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), benchTidyLimit)
	defer cancel()
	step := uint64(1)
	for range benchDigits - benchTidyDigits {
		step *= 10
	}
	for i := uint64(0); i < l.c.Keys; i += step {
		live.say("delete keys: %d of %d", i, l.c.Keys)
		k := string(l.appendKey(nil, i))
		if _, err := l.client.DeletePrefix(ctx, k[:len(l.prefix)+benchTidyDigits], nil); err != nil {
			return fmt.Errorf("delete the keys below %s: %w", l.prefix, err)
		}
	}
	return nil
}
