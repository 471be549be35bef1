package kvstore

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// compareAll compares the whole of a machine with the model.
func (w *modelRun) compareAll(r *rand.Rand, m *Machine) {
	w.tb.Helper()
	checkState(w.tb, m)
	w.compareTotals(m)
	v, err := m.view(0)
	if err != nil {
		w.tb.Fatal(err)
	}
	all := w.mo.list(nil, nil, w.mo.revision)
	sameList(w.tb, v, nil, nil, all)
	for _, want := range all {
		if got, ok := m.Get(want.Key); !ok || diffItem(&got, &want) != "" {
			w.tb.Fatalf("key %q: %s", want.Key, diffItem(&got, &want))
		}
	}
	revision := w.mo.compacted + uint64(r.Int64N(int64(w.mo.revision-w.mo.compacted)+1))
	if v, err = m.view(revision); err != nil {
		w.tb.Fatal(err)
	}
	sameList(w.tb, v, nil, nil, w.mo.list(nil, nil, v.Revision()))
	w.compareEvents(m)
	w.compareLeases(m)
	w.compareRequests(m)
}

// modelTotals is what a machine counts.
type modelTotals struct {
	Keys, Leases, Requests                  int
	Bytes, HistoryBytes, RequestBytes, Used uint64
	Revision, Compacted                     uint64
	Clock, NextExpiry                       time.Duration
	Expires                                 bool
}

func (m *model) totals() (t modelTotals) {
	for key, versions := range m.versions {
		for i, v := range versions {
			n := uint64(len(key) + len(v.Value))
			if i == len(versions)-1 && v.made == EventPut {
				t.Keys++
				t.Bytes += n
			} else {
				t.HistoryBytes += n + versionBytes
			}
		}
	}
	t.Leases, t.Requests = len(m.leases), len(m.requests)
	t.RequestBytes = m.requestBytes
	t.Used = t.Bytes + t.HistoryBytes + t.RequestBytes + 256*uint64(t.Leases)
	t.Revision, t.Compacted, t.Clock = m.revision, m.compacted, m.clock
	if all := m.deadlines(); len(all) > 0 {
		t.NextExpiry, t.Expires = all[0].deadline, true
	}
	return t
}

func (w *modelRun) compareTotals(m *Machine) {
	w.tb.Helper()
	got := modelTotals{
		Keys: m.Len(), Leases: m.LeaseCount(), Requests: m.Requests(),
		Bytes: m.Bytes(), HistoryBytes: m.HistoryBytes(), RequestBytes: m.RequestBytes(), Used: m.Used(),
		Revision: m.Revision(), Compacted: m.Compacted(), Clock: m.Clock(),
	}
	got.NextExpiry, got.Expires = m.NextExpiry()
	if want := w.mo.totals(); got != want {
		w.tb.Fatalf("got %+v\nwant %+v", got, want)
	}
	if !slices.Equal(m.state.marks, w.mo.marks) {
		w.tb.Fatalf("marks %v, want %v", m.state.marks, w.mo.marks)
	}
}

// compareEvents compares the log of changes.
func (w *modelRun) compareEvents(m *Machine) {
	w.tb.Helper()
	want := w.mo.events()
	if m.state.events.n != len(want) {
		w.tb.Fatalf("%d events, want %d", m.state.events.n, len(want))
	}
	for i, v := range want {
		e := m.state.events.at(i)
		if made := madeBy(e.it); e.revision != v.ModRevision || !bytes.Equal(e.it.key(), v.Key) || made != v.made {
			w.tb.Fatalf("event %d: %d of %q at %d, want %d of %q at %d", i, made, e.it.key(), e.revision, v.made, v.Key, v.ModRevision)
		}
	}
}

func madeBy(it *item) EventType {
	switch {
	case !it.deleted():
		return EventPut
	case it.expired():
		return EventExpire
	}
	return EventDelete
}

func (w *modelRun) compareLeases(m *Machine) {
	w.tb.Helper()
	db, ctx, stale := NewDB(m, noLog{}), context.Background(), ReadOptions{Stale: true}
	var want []LeaseID
	for id := range w.mo.leases {
		if w.mo.alive(id) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	all, err := db.Leases(ctx, stale)
	if err != nil || len(all) != len(want) {
		w.tb.Fatalf("%d leases, %v, want %d", len(all), err, len(want))
	}
	for i, got := range all {
		l := w.mo.leases[want[i]]
		if got.ID != want[i] || got.TTL != l.ttl || got.Deadline != l.deadline || got.Keys != nil {
			w.tb.Fatalf("lease %d of all: got %+v, want %s, %+v", i, got, want[i], l)
		}
		if len(all) > 100 && i%100 != 0 {
			continue
		}
		one, found, err := db.Lease(ctx, got.ID, stale)
		if !found || err != nil || one.ID != got.ID || one.TTL != l.ttl || one.Deadline != l.deadline ||
			!slices.EqualFunc(one.Keys, w.mo.keysOf(got.ID), bytes.Equal) {
			w.tb.Fatalf("lease %s: got %+v, %v, %v, want %+v of %q", got.ID, one, found, err, l, w.mo.keysOf(got.ID))
		}
	}
	for n := uint64(1); n <= w.mo.granted+1; n += 1 + n/8 {
		id := modelLeaseID(n)
		if l, found, err := db.Lease(ctx, id, stale); found != w.mo.alive(id) || err != nil {
			w.tb.Fatalf("lease %s: %+v, %v, %v", id, l, found, err)
		}
	}
}

func (w *modelRun) compareRequests(m *Machine) {
	w.tb.Helper()
	for _, key := range w.requests {
		got, found, err := NewDB(m, noLog{}).Request(context.Background(), key, ReadOptions{Stale: true})
		known := w.mo.request(key)
		if err != nil || found != (known != nil) {
			w.tb.Fatalf("request %q: found %v, %v, want %v", key, found, err, known != nil)
		}
		if known == nil {
			continue
		}
		if d := diffResult(&got.Result, &known.result); d != "" || got.Op != known.op() || got.WantPrev != known.prev {
			w.tb.Fatalf("request %q: %+v, %s", key, got, d)
		}
	}
	// Those that are forgotten are looked for once.
	w.requests = slices.DeleteFunc(w.requests, func(key string) bool { return w.mo.request(key) == nil })
}

// op is what a read says that the request was.
func (k *modelRequest) op() OpKind {
	switch k.kind {
	case modelPut:
		return OpPut
	case modelDelete:
		return OpDelete
	case modelDeleteRange:
		return OpDeleteRange
	}
	return OpOther
}
