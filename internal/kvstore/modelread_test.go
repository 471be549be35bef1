package kvstore

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
)

// noLog serves a DB of which only stale reads are asked.
type noLog struct{}

func (noLog) Propose(context.Context, []byte) (Result, error) { return Result{}, ErrNoLeader }
func (noLog) ReadBarrier(context.Context) error               { return ErrNoLeader }

// readPast reads a key and a range at a random revision, mostly one that can be.
func (w *modelRun) readPast(r *rand.Rand, m *Machine) {
	w.tb.Helper()
	mo := w.mo
	revision := uint64(r.Int64N(int64(mo.revision) + 2))
	if r.IntN(4) > 0 {
		revision = mo.compacted + uint64(r.Int64N(int64(mo.revision-mo.compacted)+1))
	}
	g := &generator{r: r, mo: mo, keys: 128}
	key := g.key()
	db := NewDB(m, noLog{})
	got, err := db.Get(context.Background(), key, GetOptions{Stale: true, Revision: revision})
	v, errView := db.View(context.Background(), ReadOptions{Stale: true, Revision: revision})
	switch gone, ok := errors.AsType[*CompactedError](err); {
	case revision > mo.revision:
		if !errors.Is(err, ErrFutureRevision) || !errors.Is(errView, ErrFutureRevision) {
			w.tb.Fatalf("read at %d of %d: %v, %v", revision, mo.revision, err, errView)
		}
		return
	case revision > 0 && revision < mo.compacted:
		if !ok || gone.Oldest != mo.compacted || !errors.Is(errView, ErrCompacted) {
			w.tb.Fatalf("read at %d, compacted to %d: %v, %v", revision, mo.compacted, err, errView)
		}
		return
	case err != nil || errView != nil:
		w.tb.Fatalf("read at %d, compacted to %d: %v, %v", revision, mo.compacted, err, errView)
	case revision == 0:
		revision = mo.revision
	}
	want, ok := mo.at(string(key), revision)
	if d := diffItem(&got.Item, &want.Item); got.Found != ok || got.Revision != revision || d != "" {
		w.tb.Fatalf("%q at %d: found %v at %d, want %v, %s", key, revision, got.Found, got.Revision, ok, d)
	}
	start, end := g.span()
	if v.Revision() != revision {
		w.tb.Fatalf("view of revision %d, want %d", v.Revision(), revision)
	}
	sameList(w.tb, v, start, end, mo.list(start, end, revision))
}

func (w *modelRun) keepView(r *rand.Rand, m *Machine) {
	w.tb.Helper()
	revision := w.mo.compacted + uint64(r.Int64N(int64(w.mo.revision-w.mo.compacted)+1))
	v, err := m.view(revision)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.views = append(w.views, modelView{v, w.mo.list(nil, nil, v.Revision())})
}

func sameList(tb testing.TB, v View, start, end []byte, want []Item) {
	tb.Helper()
	same := func(name string, got iter.Seq[Item]) {
		i := 0
		for it := range got {
			if i == len(want) {
				tb.Fatalf("%s %q to %q at %d: %d items and %+v", name, start, end, v.Revision(), i, it)
			}
			if d := diffItem(&it, &want[i]); d != "" {
				tb.Fatalf("%s %q to %q at %d: item %d: %s", name, start, end, v.Revision(), i, d)
			}
			i++
		}
		if i != len(want) {
			tb.Fatalf("%s %q to %q at %d: %d items, want %d", name, start, end, v.Revision(), i, len(want))
		}
	}
	same("ascend", v.Ascend(start, end))
	want = slices.Clone(want)
	slices.Reverse(want)
	same("descend", v.Descend(start, end))
}
