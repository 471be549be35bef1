package main

import (
	"context"
	"fmt"

	kvd "kvd/client"
)

// kvdGo drives kvd by its Go client, as it is by default: every write carries an
// idempotency key.
type kvdGo struct {
	c     *kvd.Client
	value []byte
}

// kvdGoPool gives every few workers a client.
type kvdGoPool struct {
	clients []*kvd.Client
	value   []byte
}

func dialKvdGo(endpoints []string, workers int, value []byte) (pool, error) {
	p := &kvdGoPool{value: value}
	for i := range clientsFor(workers, endpoints) {
		// A client stays with the first endpoint for as long as it answers.
		n := i % len(endpoints)
		var urls []string
		for _, e := range append(append([]string{}, endpoints[n:]...), endpoints[:n]...) {
			urls = append(urls, "http://"+e)
		}
		c, err := kvd.New(kvd.Config{Endpoints: urls})
		if err != nil {
			return nil, err
		}
		p.clients = append(p.clients, c)
	}
	return p, nil
}

// clientsFor is how many clients of a library so many workers have: one for
// every few, and as many at each endpoint.
func clientsFor(workers int, endpoints []string) int {
	n := (workers + sharers - 1) / sharers
	return min(workers, (n+len(endpoints)-1)/len(endpoints)*len(endpoints))
}

func (p *kvdGoPool) session(_ context.Context, worker int) (session, error) {
	return &kvdGo{p.clients[worker%len(p.clients)], p.value}, nil
}

func (p *kvdGoPool) Close() error {
	for _, c := range p.clients {
		c.Close()
	}
	return nil
}

func (s *kvdGo) put(ctx context.Context, key []byte) error {
	_, err := s.c.Put(ctx, string(key), s.value, nil)
	return err
}

func (s *kvdGo) get(ctx context.Context, key []byte, stale bool) error {
	var o *kvd.GetOptions
	if stale {
		o = &kvd.GetOptions{ReadOptions: kvd.ReadOptions{Consistency: kvd.Stale}}
	}
	_, err := s.c.Get(ctx, string(key), o)
	return err
}

func (s *kvdGo) txn(ctx context.Context, key []byte) error {
	k := string(key)
	res, err := s.c.Txn(ctx, kvd.Txn{
		If:   []kvd.Compare{kvd.Exists(k, true)},
		Then: []kvd.Op{kvd.PutOp(k, s.value, nil), kvd.GetOp(k)},
		Else: []kvd.Op{kvd.GetOp(k)},
	})
	if err == nil && !res.Succeeded {
		err = errComparison
	}
	return err
}

func (s *kvdGo) list(ctx context.Context, key []byte) error {
	page, err := s.c.List(ctx, &kvd.ListOptions{Start: string(key), Limit: pageSize})
	if err == nil && len(page.Items) == 0 {
		err = fmt.Errorf("no keys from %q on", key)
	}
	return err
}

func (s *kvdGo) Close() error { return nil }
