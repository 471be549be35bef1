package clustertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// Workload is a set of clients that write and read until they are stopped.
type Workload struct {
	c    *Cluster
	stop chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	history []porcupine.Operation
	good    int
	unknown int
}

// StartClients starts clients that use members at random and keys few enough
// to collide.
func (c *Cluster) StartClients(clients, keys int) *Workload {
	w := &Workload{c: c, stop: make(chan struct{})}
	for id := range clients {
		rng := rand.New(rand.NewPCG(c.Rand.Uint64(), 7))
		w.wg.Go(func() { w.client(id, keys, rng) })
	}
	return w
}

func (w *Workload) client(id, keys int, rng *rand.Rand) {
	seen := make(map[string]uint64)
	for n := uint64(1); ; n++ {
		select {
		case <-w.stop:
			return
		case <-time.After(time.Duration(rng.IntN(150)) * time.Millisecond):
		}
		members := w.c.Members()
		db := members[rng.IntN(len(members))].DB()
		if db == nil {
			continue
		}
		key := fmt.Sprintf("k%d", rng.IntN(keys))
		in := input{op: rng.IntN(4), key: key, value: uint64(id)<<32 | n, revision: seen[key]}
		if in.op == opCAS && in.revision == 0 {
			in.op = opPut
		}
		if in.op == opDelete && rng.IntN(4) != 0 {
			in.op = opGet
		}
		call := time.Now()
		out, ok := do(db, in)
		if !ok {
			continue // surely not applied: it never was
		}
		if out.revision != 0 {
			seen[key] = out.revision
		}
		w.record(id, in, out, call)
	}
}

// do performs one operation; false: it had no effect and no answer.
func do(db *kvstore.DB, in input) (output, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	key := []byte(in.key)
	if in.op == opGet {
		r, err := db.Get(ctx, key, kvstore.GetOptions{})
		if err != nil {
			return output{}, false
		}
		o := output{found: r.Found, revision: r.ModRevision}
		if r.Found {
			o.value = binary.BigEndian.Uint64(r.Value)
		}
		return o, true
	}
	var res kvstore.Result
	var err error
	switch in.op {
	case opPut:
		res, err = db.Put(ctx, key, binary.BigEndian.AppendUint64(nil, in.value), kvstore.PutOptions{})
	case opCAS:
		res, err = db.Put(ctx, key, binary.BigEndian.AppendUint64(nil, in.value), kvstore.PutOptions{
			Condition: kvstore.Condition{Kind: kvstore.IfRevision, Revision: in.revision},
		})
	case opDelete:
		res, err = db.Delete(ctx, key, kvstore.DeleteOptions{})
	}
	switch {
	case errors.Is(err, raftnode.ErrOutcomeUnknown):
		return output{unknown: true}, true
	case err != nil:
		return output{}, false
	}
	return output{
		revision: res.ModRevision,
		found:    res.Code == kvstore.Deleted,
		failed:   res.Code == kvstore.ConditionFailed,
	}, true
}

func (w *Workload) record(client int, in input, out output, call time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ret := time.Now().UnixNano()
	if out.unknown {
		w.unknown++
		ret = 1<<63 - 1 // it may take effect at any later time
	} else {
		w.good++
	}
	w.history = append(w.history, porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: call.UnixNano(), Return: ret,
	})
}

// Stop ends the clients and returns what they saw.
func (w *Workload) Stop() (history []porcupine.Operation, good, unknown int) {
	close(w.stop)
	w.wg.Wait()
	return w.history, w.good, w.unknown
}
