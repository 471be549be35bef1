package kvstore

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "run the model test with this seed only")

// model is the store as a map: what Machine must be, written down as plainly as
// can be. Of each key it has all versions, the oldest first; one with Version 0
// says that the key was deleted.
type model struct {
	versions  map[string][]Item
	revision  uint64
	compacted uint64
}

// at returns the key as it was at revision.
func (m *model) at(key string, revision uint64) (found Item, ok bool) {
	for _, it := range m.versions[key] {
		if it.ModRevision <= revision {
			found, ok = it, it.Version > 0
		}
	}
	if !ok {
		return Item{}, false
	}
	return found, true
}

// list returns all that was there at revision from start to before end, in order.
func (m *model) list(start, end []byte, revision uint64) (all []Item) {
	for _, key := range slices.Sorted(maps.Keys(m.versions)) {
		if it, ok := m.at(key, revision); ok && key >= string(start) && (end == nil || key < string(end)) {
			all = append(all, it)
		}
	}
	return all
}

func (m *model) put(key, value, contentType string, c Condition, wantPrev bool) Result {
	old, ok := m.at(key, m.revision)
	if !m.holds(c, old, ok) {
		return Result{Code: ConditionFailed, Revision: m.revision, ModRevision: old.ModRevision}
	}
	m.revision++
	it := Item{[]byte(key), []byte(value), contentType, m.revision, m.revision, 1, 0, 0}
	r := Result{Code: Created, Revision: m.revision, ModRevision: m.revision}
	if ok {
		it.CreateRevision, it.Version = old.CreateRevision, old.Version+1
		r.Code = Replaced
		if wantPrev {
			r.Prev = &old
		}
	}
	m.versions[key] = append(m.versions[key], it)
	return r
}

func (m *model) delete(key string, c Condition, wantPrev bool) Result {
	old, ok := m.at(key, m.revision)
	if !m.holds(c, old, ok) {
		return Result{Code: ConditionFailed, Revision: m.revision, ModRevision: old.ModRevision}
	}
	if !ok {
		return Result{Code: NotFound, Revision: m.revision}
	}
	m.revision++
	m.bury(key)
	r := Result{Code: Deleted, Revision: m.revision}
	if wantPrev {
		r.Prev = &old
	}
	return r
}

func (m *model) bury(key string) {
	m.versions[key] = append(m.versions[key], Item{Key: []byte(key), ModRevision: m.revision})
}

func (m *model) deleteRange(start, end []byte) Result {
	all := m.list(start, end, m.revision)
	if len(all) == 0 {
		return Result{Code: NotFound, Revision: m.revision}
	}
	m.revision++
	for _, it := range all {
		m.bury(string(it.Key))
	}
	return Result{Code: Deleted, Revision: m.revision, Deleted: uint64(len(all))}
}

func (m *model) compact(revision uint64) Result {
	if revision > m.revision {
		return Result{Code: FutureRevision, Revision: m.revision}
	}
	m.compacted = max(m.compacted, revision)
	for key, versions := range m.versions {
		for len(versions) > 1 && versions[1].ModRevision <= m.compacted {
			versions = versions[1:]
		}
		if versions[0].Version == 0 && versions[0].ModRevision <= m.compacted {
			versions = versions[1:]
		}
		m.versions[key] = versions
		if len(versions) == 0 {
			delete(m.versions, key)
		}
	}
	return Result{Code: Compacted, Revision: m.revision}
}

func (m *model) holds(c Condition, old Item, ok bool) bool {
	return c.Kind == Always || c.Kind == IfAbsent && !ok || c.Kind == IfPresent && ok ||
		c.Kind == IfRevision && ok && old.ModRevision == c.Revision
}

// TestMachineAgainstModel drives three machines and the model with one random
// log, compares every result, every hash and reads of the past, and has machines
// replaced by what their own snapshots restore to. Views must stay as they were.
func TestMachineAgainstModel(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6, rand.Uint64()}
	if *seedFlag != 0 {
		seeds = []uint64{*seedFlag}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			testModel(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// modelView is a view and what it must show for ever.
type modelView struct {
	view View
	want []Item
}

func testModel(t *testing.T, r *rand.Rand) {
	machines := []*Machine{NewMachine(), NewMachine(), NewMachine()}
	mo := &model{versions: map[string][]Item{}}
	keys := 1 << r.IntN(12)
	var views []modelView
	var index uint64
	var clock time.Duration
	for range 1_500 {
		index += uint64(1 + r.IntN(3))
		clock += time.Duration(r.Int64N(int64(time.Second)))
		var cmds [][]byte
		var want []Result
		for range r.IntN(20) {
			cmd, res := randomStep(r, mo, keys)
			cmds, want = append(cmds, cmd), append(want, res)
		}
		for i, m := range machines {
			got, err := m.Apply(index, clock, cmds)
			if err != nil || !slices.EqualFunc(got, want, sameResult) {
				t.Fatalf("entry %d, machine %d: got %+v, %v, want %+v", index, i, got, err, want)
			}
		}
		sameHashes(t, machines)
		m := machines[r.IntN(3)]
		readPast(t, r, m, mo, keys)
		switch r.IntN(100) {
		case 0:
			replaced := r.IntN(3)
			machines[replaced] = restored(t, snapshotOf(t, m))
			sameHashes(t, machines)
		case 1: // over a state that shares much with it
			if err := machines[0].Restore(bytes.NewReader(snapshotOf(t, machines[2]))); err != nil {
				t.Fatal(err)
			}
			sameHashes(t, machines)
		case 2:
			views = append(views, viewPast(t, r, m, mo))
		case 3:
			sameAsModel(t, m, mo)
		}
	}
	for _, m := range machines {
		sameAsModel(t, m, mo)
	}
	for _, v := range views {
		sameList(t, v.view, nil, nil, v.want)
	}
}

func randomStep(r *rand.Rand, mo *model, keys int) ([]byte, Result) {
	key := fmt.Sprintf("k/%d", r.IntN(keys))
	c := Condition{Kind: ConditionKind(max(0, r.IntN(9)-5))}
	if c.Kind == IfRevision {
		old, _ := mo.at(key, mo.revision)
		c.Revision = old.ModRevision + uint64(r.IntN(4)/3)
	}
	wantPrev := r.IntN(3) == 0
	switch n := r.IntN(1_000); {
	case n < 3:
		revision := mo.compacted + uint64(r.Int64N(int64(mo.revision-mo.compacted)+2))
		return encodeCompact(revision), mo.compact(revision)
	case n < 13:
		start, end := randomRange(r, keys)
		return encodeDeleteRange(start, end), mo.deleteRange(start, end)
	case n < 50:
		return []byte("\x00" + key), Result{Code: BadCommand, Revision: mo.revision}
	case n < 350:
		return del(key, c, wantPrev), mo.delete(key, c, wantPrev)
	}
	value := string(make([]byte, r.IntN(64)))
	contentType := []string{"", "text/plain", "application/json"}[r.IntN(3)]
	return put(key, value, contentType, c, wantPrev), mo.put(key, value, contentType, c, wantPrev)
}

// randomRange is mostly a short one.
func randomRange(r *rand.Rand, keys int) (start, end []byte) {
	switch r.IntN(20) {
	case 0:
		return nil, nil
	case 1:
		return []byte("l"), []byte("a")
	case 2:
		return nil, []byte{}
	}
	start = fmt.Appendf(nil, "k/%d", r.IntN(keys))
	switch r.IntN(3) {
	case 0:
		return start, PrefixEnd(start)
	case 1:
		return append(start, 0), fmt.Appendf(nil, "k/%d", r.IntN(keys))
	}
	return start, append(bytes.Clone(start), '5')
}

// readPast reads a key and a range at a random revision, mostly one that can be.
func readPast(t *testing.T, r *rand.Rand, m *Machine, mo *model, keys int) {
	t.Helper()
	revision := uint64(r.Int64N(int64(mo.revision) + 2))
	if r.IntN(4) > 0 {
		revision = mo.compacted + uint64(r.Int64N(int64(mo.revision-mo.compacted)+1))
	}
	key := fmt.Sprintf("k/%d", r.IntN(keys))
	v, err := m.view(revision)
	it, errGet := m.readAt([]byte(key), max(1, revision))
	switch gone, ok := errors.AsType[*CompactedError](err); {
	case revision == 0:
		revision = mo.revision
		if errGet = nil; err != nil {
			t.Fatal(err)
		}
	case revision > mo.revision:
		if !errors.Is(err, ErrFutureRevision) || !errors.Is(errGet, ErrFutureRevision) {
			t.Fatalf("read at %d of %d: %v, %v", revision, mo.revision, err, errGet)
		}
		return
	case revision < mo.compacted:
		if !ok || gone.Oldest != mo.compacted || !errors.Is(errGet, ErrCompacted) {
			t.Fatalf("read at %d, compacted to %d: %v, %v", revision, mo.compacted, err, errGet)
		}
		return
	case err != nil || errGet != nil:
		t.Fatalf("read at %d, compacted to %d: %v, %v", revision, mo.compacted, err, errGet)
	default:
		want, ok := mo.at(key, revision)
		if (it != nil) != ok || ok && !sameItem(new(it.export()), &want) {
			t.Fatalf("%q at %d: got %+v, want %+v", key, revision, it, want)
		}
	}
	want, ok := mo.at(key, revision)
	if got, found := v.Get([]byte(key)); found != ok || !sameItem(&got, &want) {
		t.Fatalf("%q at %d: got %+v, want %+v", key, revision, got, want)
	}
	if v.Revision() != revision {
		t.Fatalf("view of revision %d, want %d", v.Revision(), revision)
	}
	if r.IntN(10) == 0 {
		start, end := randomRange(r, keys)
		sameList(t, v, start, end, mo.list(start, end, revision))
	}
}

func viewPast(t *testing.T, r *rand.Rand, m *Machine, mo *model) modelView {
	t.Helper()
	revision := mo.compacted + uint64(r.Int64N(int64(mo.revision-mo.compacted)+1))
	v, err := m.view(revision)
	if err != nil {
		t.Fatal(err)
	}
	return modelView{v, mo.list(nil, nil, v.Revision())}
}

func sameList(t *testing.T, v View, start, end []byte, want []Item) {
	t.Helper()
	same := func(name string, got iter.Seq[Item]) {
		i := 0
		for it := range got {
			if i == len(want) || !sameItem(&it, &want[i]) {
				t.Fatalf("%s %q to %q at %d: item %d is %+v", name, start, end, v.Revision(), i, it)
			}
			i++
		}
		if i != len(want) {
			t.Fatalf("%s %q to %q at %d: %d items, want %d", name, start, end, v.Revision(), i, len(want))
		}
	}
	same("ascend", v.Ascend(start, end))
	want = slices.Clone(want)
	slices.Reverse(want)
	same("descend", v.Descend(start, end))
}

func sameHashes(t *testing.T, machines []*Machine) {
	t.Helper()
	index, hash := machines[0].Hash()
	for i, m := range machines[1:] {
		if gi, gh := m.Hash(); gi != index || gh != hash {
			t.Fatalf("machine %d has hash %x at %d, machine 0 has %x at %d", i+1, gh, gi, hash, index)
		}
	}
}

func sameAsModel(t *testing.T, m *Machine, mo *model) {
	t.Helper()
	checkState(t, m)
	var keys int
	var size, history uint64
	for key, versions := range mo.versions {
		for i, it := range versions {
			n := uint64(len(key) + len(it.Value))
			if i == len(versions)-1 && it.Version > 0 {
				keys++
				size += n
			} else {
				history += n + versionBytes
			}
		}
	}
	if m.Len() != keys || m.Revision() != mo.revision || m.Compacted() != mo.compacted || m.Bytes() != size || m.HistoryBytes() != history {
		t.Fatalf("%d keys of %d bytes, revision %d, compacted %d, history %d; want %d of %d, %d, %d, %d",
			m.Len(), m.Bytes(), m.Revision(), m.Compacted(), m.HistoryBytes(), keys, size, mo.revision, mo.compacted, history)
	}
	v, err := m.view(0)
	if err != nil {
		t.Fatal(err)
	}
	all := mo.list(nil, nil, mo.revision)
	sameList(t, v, nil, nil, all)
	for _, want := range all {
		if got, ok := m.Get(want.Key); !ok || !sameItem(&got, &want) {
			t.Fatalf("key %q: got %+v, want %+v", want.Key, got, want)
		}
	}
}

func snapshotOf(tb testing.TB, m *Machine) []byte {
	tb.Helper()
	s, err := m.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	n, err := s.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		tb.Fatalf("snapshot: said %d of %d bytes, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func restored(tb testing.TB, snapshot []byte) *Machine {
	tb.Helper()
	m := NewMachine()
	if err := m.Restore(bytes.NewReader(snapshot)); err != nil {
		tb.Fatal(err)
	}
	return m
}
