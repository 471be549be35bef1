package main

import (
	"context"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	kvd "kvd/client"
	"kvd/internal/load"
)

// How a system is filled: by transactions of so many puts and bytes at most, from
// some clients of its Go library at the leader.
const (
	fillOps   = 100
	fillBytes = 256 << 10
	fillers   = 8
)

// fill writes the first keys of the keyspace.
func fill(ctx context.Context, s system, keys int, value []byte) (*load.Result, error) {
	var next atomic.Int64
	batch := max(1, min(fillOps, fillBytes/len(value)))
	return load.Run(ctx, load.Config{Workers: fillers}, func(context.Context, int) (load.Worker, error) {
		f := &filler{keys: keys, batch: batch, value: value, next: &next}
		e := s.endpoints()[s.leader()]
		var err error
		if s.name() == systemKvd {
			f.kvd, err = kvd.New(kvd.Config{Endpoints: []string{"http://" + e}})
		} else {
			f.etcd, err = dialEtcd(e)
		}
		return f, err
	})
}

// filler writes keys that no other has written.
type filler struct {
	keys  int
	batch int
	value []byte
	next  *atomic.Int64 // the first key that none has taken

	kvd  *kvd.Client // either
	etcd *clientv3.Client
}

// Do writes the next keys.
func (f *filler) Do(ctx context.Context) (int, error) {
	end := int(f.next.Add(int64(f.batch)))
	begin := end - f.batch
	if end = min(end, f.keys); begin >= end {
		return 0, load.ErrDone
	}
	if f.kvd != nil {
		var t kvd.Txn
		for i := begin; i < end; i++ {
			t.Then = append(t.Then, kvd.PutOp(key(i), f.value, nil))
		}
		_, err := f.kvd.Txn(ctx, t)
		return 0, err
	}
	var ops []clientv3.Op
	for i := begin; i < end; i++ {
		ops = append(ops, clientv3.OpPut(key(i), string(f.value)))
	}
	_, err := f.etcd.Txn(ctx).Then(ops...).Commit()
	return 0, err
}

// Close lets go of the client.
func (f *filler) Close() error {
	if f.kvd != nil {
		f.kvd.Close()
		return nil
	}
	return f.etcd.Close()
}
