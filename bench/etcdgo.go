package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

var errComparison = errors.New("the comparison does not hold")

// etcdGo drives etcd by its Go client.
type etcdGo struct {
	c     *clientv3.Client
	value string
}

// etcdGoPool gives every few workers a client, which is one connection.
type etcdGoPool struct {
	clients []*clientv3.Client
	value   string
}

func dialEtcdGo(endpoints []string, workers int, value []byte) (pool, error) {
	p := &etcdGoPool{value: string(value)}
	for i := range clientsFor(workers, endpoints) {
		c, err := dialEtcd(endpoints[i%len(endpoints)])
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.clients = append(p.clients, c)
	}
	return p, nil
}

func dialEtcd(endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
}

func (p *etcdGoPool) session(_ context.Context, worker int) (session, error) {
	return &etcdGo{p.clients[worker%len(p.clients)], p.value}, nil
}

func (p *etcdGoPool) Close() error {
	var errs []error
	for _, c := range p.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (s *etcdGo) put(ctx context.Context, key []byte) error {
	_, err := s.c.Put(ctx, string(key), s.value)
	return err
}

func (s *etcdGo) get(ctx context.Context, key []byte, stale bool) error {
	var opts []clientv3.OpOption
	if stale {
		opts = append(opts, clientv3.WithSerializable())
	}
	res, err := s.c.Get(ctx, string(key), opts...)
	if err == nil && len(res.Kvs) != 1 {
		err = fmt.Errorf("%d keys", len(res.Kvs))
	}
	return err
}

func (s *etcdGo) txn(ctx context.Context, key []byte) error {
	k := string(key)
	res, err := s.c.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(k), ">", 0)).
		Then(clientv3.OpPut(k, s.value), clientv3.OpGet(k)).
		Else(clientv3.OpGet(k)).
		Commit()
	if err == nil && !res.Succeeded {
		err = errComparison
	}
	return err
}

func (s *etcdGo) list(ctx context.Context, key []byte) error {
	res, err := s.c.Get(ctx, string(key), clientv3.WithFromKey(), clientv3.WithLimit(pageSize))
	if err == nil && len(res.Kvs) == 0 {
		err = fmt.Errorf("no keys from %q on", key)
	}
	return err
}

func (s *etcdGo) Close() error { return nil }
