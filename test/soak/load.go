package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	kvd "kvd/client"
)

const (
	keys     = 2000
	workers  = 8
	watchers = 20
)

// load is the clients at work.
type load struct {
	client     *kvd.Client
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	operations atomic.Int64
	failed     atomic.Int64

	mu     sync.Mutex
	faults []string // errors that no restart explains
}

func startLoad(endpoints []string, rate int) (*load, error) {
	c, err := kvd.New(kvd.Config{Endpoints: endpoints})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: c, cancel: cancel}
	for range workers {
		l.wg.Go(func() { l.every(ctx, time.Second*workers/time.Duration(rate), l.mixed) })
	}
	for range watchers {
		l.wg.Go(func() { l.every(ctx, time.Millisecond, l.watchAwhile) })
	}
	l.wg.Go(func() { l.every(ctx, 500*time.Millisecond, l.lease) })
	l.wg.Go(func() { l.every(ctx, 20*time.Second, l.compact) })
	l.wg.Go(func() {
		l.every(ctx, 45*time.Second, func(ctx context.Context) error {
			_, err := c.TakeSnapshot(ctx, "")
			return err
		})
	})
	return l, nil
}

// stop ends the load; it may be called twice.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.client.Close()
}

// every does something at a steady pace until the load is stopped.
func (l *load) every(ctx context.Context, pace time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := do(ctx)
		if l.operations.Add(1); err == nil || ctx.Err() != nil {
			continue
		}
		if l.failed.Add(1); !errors.Is(err, kvd.ErrNoLeader) {
			l.mu.Lock()
			if len(l.faults) < 20 {
				l.faults = append(l.faults, err.Error())
			}
			l.mu.Unlock()
		}
	}
}

func key() string { return fmt.Sprintf("soak/%04d", rand.IntN(keys)) }

// value has the same size on average, so that the store stays as large as it is.
func value() []byte { return []byte(strings.Repeat("v", 200+rand.IntN(1600))) }

func (l *load) mixed(ctx context.Context) error {
	c, err := l.client, error(nil)
	switch n := rand.IntN(100); {
	case n < 35:
		_, err = c.Put(ctx, key(), value(), nil)
	case n < 40:
		_, err = c.Delete(ctx, key(), nil)
	case n < 45:
		_, err = c.Put(ctx, key(), value(), &kvd.PutOptions{TTL: 20 * time.Second})
	case n < 50:
		_, err = c.Put(ctx, key(), value(), &kvd.PutOptions{If: kvd.IfAbsent()})
	case n < 55:
		k := key()
		_, err = c.Txn(ctx, kvd.Txn{
			If:   []kvd.Compare{kvd.Exists(k, true)},
			Then: []kvd.Op{kvd.GetOp(k)},
			Else: []kvd.Op{kvd.PutOp(k, value(), nil)},
		})
	case n < 57:
		_, err = c.List(ctx, &kvd.ListOptions{Prefix: "soak/", Limit: 100})
	case n < 75:
		_, err = c.Get(ctx, key(), &kvd.GetOptions{ReadOptions: kvd.ReadOptions{Consistency: kvd.Stale}})
	default:
		_, err = c.Get(ctx, key(), nil)
	}
	if errors.Is(err, kvd.ErrNotFound) || errors.Is(err, kvd.ErrPrecondition) {
		return nil
	}
	return err
}

// watchAwhile opens a watch, reads some of it, and leaves.
func (l *load) watchAwhile(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+rand.IntN(15))*time.Second)
	defer cancel()
	w, err := l.client.Watch(ctx, &kvd.WatchOptions{Prefixes: []string{"soak/"}})
	if err == nil {
		defer w.Close()
		for err == nil {
			_, err = w.Next()
		}
	}
	if ctx.Err() != nil || errors.Is(err, kvd.ErrCompacted) {
		return nil
	}
	return err
}

// lease grants a lease with a key; half of them are revoked, the others end.
func (l *load) lease(ctx context.Context) error {
	info, err := l.client.GrantLease(ctx, 5*time.Second, nil)
	if err != nil {
		return err
	}
	_, err = l.client.Put(ctx, "lease/"+info.ID.String(), value(), &kvd.PutOptions{Lease: info.ID})
	if err == nil && rand.IntN(2) == 0 {
		_, err = l.client.RevokeLease(ctx, info.ID, nil)
	}
	return err
}

// compact gives up half of the history.
func (l *load) compact(ctx context.Context) error {
	s, err := l.client.Status(ctx, "")
	if err != nil {
		return err
	}
	err = l.client.Compact(ctx, max(1, s.Revision-min(s.Revision, 2500)))
	if errors.Is(err, kvd.ErrCompacted) {
		return nil
	}
	return err
}
