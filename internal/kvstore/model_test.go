package kvstore

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "run the model test with this seed only")

// model is the store as a map: what Machine must be, written down as plainly as
// can be.
type model struct {
	items    map[string]Item
	revision uint64
}

func (m *model) put(key, value, contentType string, c Condition, wantPrev bool) Result {
	old, ok := m.items[key]
	if !m.holds(c, old, ok) {
		return Result{Code: ConditionFailed, Revision: m.revision, ModRevision: old.ModRevision}
	}
	m.revision++
	it := Item{[]byte(key), []byte(value), contentType, m.revision, m.revision, 1}
	r := Result{Code: Created, Revision: m.revision, ModRevision: m.revision}
	if ok {
		it.CreateRevision, it.Version = old.CreateRevision, old.Version+1
		r.Code = Replaced
		if wantPrev {
			r.Prev = &old
		}
	}
	m.items[key] = it
	return r
}

func (m *model) delete(key string, c Condition, wantPrev bool) Result {
	old, ok := m.items[key]
	if !m.holds(c, old, ok) {
		return Result{Code: ConditionFailed, Revision: m.revision, ModRevision: old.ModRevision}
	}
	if !ok {
		return Result{Code: NotFound, Revision: m.revision}
	}
	m.revision++
	delete(m.items, key)
	r := Result{Code: Deleted, Revision: m.revision}
	if wantPrev {
		r.Prev = &old
	}
	return r
}

func (m *model) holds(c Condition, old Item, ok bool) bool {
	return c.Kind == Always || c.Kind == IfAbsent && !ok || c.Kind == IfPresent && ok ||
		c.Kind == IfRevision && ok && old.ModRevision == c.Revision
}

// TestMachineAgainstModel drives three machines and the model with one random
// log, compares every result and every hash, and has machines replaced by what
// their own snapshots restore to.
func TestMachineAgainstModel(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, rand.Uint64()}
	if *seedFlag != 0 {
		seeds = []uint64{*seedFlag}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			testModel(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func testModel(t *testing.T, r *rand.Rand) {
	machines := []*Machine{NewMachine(), NewMachine(), NewMachine()}
	mo := &model{items: map[string]Item{}}
	keys := 1 << r.IntN(14)
	var index uint64
	for range 2_000 {
		index += uint64(1 + r.IntN(3))
		var cmds [][]byte
		var want []Result
		for range r.IntN(20) {
			cmd, res := randomStep(r, mo, keys)
			cmds, want = append(cmds, cmd), append(want, res)
		}
		clock := time.Duration(r.Int64N(int64(time.Hour)))
		for i, m := range machines {
			got, err := m.Apply(index, clock, cmds)
			if err != nil || !slices.EqualFunc(got, want, sameResult) {
				t.Fatalf("entry %d, machine %d: got %+v, %v, want %+v", index, i, got, err, want)
			}
		}
		sameHashes(t, machines)
		if r.IntN(100) == 0 {
			machines[r.IntN(2)] = restored(t, snapshotOf(t, machines[2]))
			sameHashes(t, machines)
		}
	}
	for _, m := range machines {
		sameAsModel(t, m, mo)
	}
}

func randomStep(r *rand.Rand, mo *model, keys int) ([]byte, Result) {
	key := fmt.Sprintf("k/%d", r.IntN(keys))
	c := Condition{Kind: ConditionKind(max(0, r.IntN(9)-5))}
	if c.Kind == IfRevision {
		c.Revision = mo.items[key].ModRevision + uint64(r.IntN(4)/3)
	}
	wantPrev := r.IntN(3) == 0
	switch n := r.IntN(10); {
	case n == 0:
		return []byte("\x00" + key), Result{Code: BadCommand, Revision: mo.revision}
	case n < 4:
		return del(key, c, wantPrev), mo.delete(key, c, wantPrev)
	}
	value := string(make([]byte, r.IntN(64)))
	contentType := []string{"", "text/plain", "application/json"}[r.IntN(3)]
	return put(key, value, contentType, c, wantPrev), mo.put(key, value, contentType, c, wantPrev)
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
	m.state.tree.check(t)
	if m.Len() != len(mo.items) || m.Revision() != mo.revision {
		t.Fatalf("%d keys at revision %d, want %d at %d", m.Len(), m.Revision(), len(mo.items), mo.revision)
	}
	var size uint64
	for _, key := range slices.Sorted(maps.Keys(mo.items)) {
		want := mo.items[key]
		if got, ok := m.Get([]byte(key)); !ok || !sameItem(&got, &want) {
			t.Fatalf("key %q: got %+v, want %+v", key, got, want)
		}
		size += uint64(len(key) + len(want.Value))
	}
	if m.Bytes() != size {
		t.Fatalf("%d bytes, want %d", m.Bytes(), size)
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
