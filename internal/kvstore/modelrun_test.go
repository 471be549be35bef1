package kvstore

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// modelAction is what happens to the machines between two entries.
type modelAction int

const (
	nothing      modelAction = iota
	readPast                 // a key, and a range
	keepView                 // a view, which must stay as it is until the end
	keepSnapshot             // one that is written much later
	restart                  // the second machine becomes what its snapshot restores to
	replay                   // the third gets the entries that it lacks
	install                  // the third gets a snapshot over what it has, and no entries
	refuse                   // all get what must not change them
	compareAll               // everything with the model
)

var modelActionNames = [...]string{
	"nothing", "read the past", "keep a view", "keep a snapshot", "restart", "replay", "install", "refuse", "compare all",
}

func (a modelAction) String() string { return modelActionNames[a] }

func (g *generator) action() modelAction {
	if g.large && !g.chance(4) { // snapshots of much take their time
		return nothing
	}
	switch n := g.r.IntN(1_000); {
	case n < 200:
		return readPast
	case n < 205:
		return keepView
	case n < 210:
		return keepSnapshot
	case n < 235:
		return restart
	case n < 300:
		return replay
	case n < 320:
		return install
	case n < 325:
		return refuse
	case n < 355:
		return compareAll
	}
	return nothing
}

// modelRun is one episode: the model, and three machines that are fed its log.
type modelRun struct {
	tb testing.TB
	mo *model

	ahead    *Machine // gets each entry at once
	restarts *Machine // too, and is replaced by its snapshot now and then
	behind   *Machine // gets entries late, or a snapshot instead
	late     []modelApplied

	views     []modelView
	snapshots []modelSnapshot
	requests  []string // idempotency keys that there ever were
}

// modelApplied is an entry and what must come of it.
type modelApplied struct {
	entry modelEntry
	want  []Result
	hash  uint64
}

// modelView is a view and what it must show for ever.
type modelView struct {
	view View
	want []Item
}

// modelSnapshot is a snapshot and what it must write whenever it does.
type modelSnapshot struct {
	snapshot io.WriterTo
	want     []byte
}

func newModelRun(tb testing.TB) *modelRun {
	return &modelRun{tb: tb, mo: newModel(), ahead: newModelMachine(), restarts: newModelMachine(), behind: newModelMachine()}
}

func (w *modelRun) do(e *modelEntry) {
	w.tb.Helper()
	w.mo.begin(e.clock)
	var want []Result
	for i := range e.cmds {
		c := &e.cmds[i]
		want = append(want, w.mo.apply(c))
		if c.request != "" {
			w.requests = append(w.requests, c.request)
		}
	}
	a := modelApplied{entry: *e, want: want}
	a.hash = w.apply(w.ahead, &a)
	w.apply(w.restarts, &a)
	w.late = append(w.late, a)
	w.act(e.after, rand.New(rand.NewPCG(e.seed, 1)))
}

// apply gives the machine an entry, in bytes that are overwritten afterwards.
func (w *modelRun) apply(m *Machine, a *modelApplied) uint64 {
	w.tb.Helper()
	var cmds [][]byte
	for i := range a.entry.cmds {
		cmds = append(cmds, bytes.Clone(a.entry.cmds[i].bytes))
	}
	got, err := m.Apply(a.entry.index, a.entry.clock, cmds)
	if err != nil || len(got) != len(a.want) {
		w.tb.Fatalf("entry %d: %d results of %d, %v", a.entry.index, len(got), len(a.want), err)
	}
	for _, b := range cmds {
		for i := range b {
			b[i] ^= 0xff
		}
	}
	for i := range got {
		if diff := diffResult(&got[i], &a.want[i]); diff != "" {
			w.tb.Fatalf("entry %d, command %d: %s\n%s", a.entry.index, i, &a.entry.cmds[i], diff)
		}
		travels(w.tb, m, &got[i])
	}
	index, hash := m.Hash()
	if index != a.entry.index || a.hash != 0 && hash != a.hash {
		w.tb.Fatalf("entry %d: machines have hash %x at %d, and %x", a.entry.index, hash, index, a.hash)
	}
	return hash
}

func (w *modelRun) act(what modelAction, r *rand.Rand) {
	w.tb.Helper()
	switch what {
	case readPast:
		w.readPast(r, pick2(r, w.ahead, w.restarts))
	case keepView:
		w.keepView(r, pick2(r, w.ahead, w.restarts))
	case keepSnapshot:
		s, err := w.ahead.Snapshot()
		if err != nil {
			w.tb.Fatal(err)
		}
		w.snapshots = append(w.snapshots, modelSnapshot{s, snapshotOf(w.tb, w.ahead)})
	case restart:
		m := newModelMachine()
		if err := m.Restore(bytes.NewReader(snapshotOf(w.tb, w.restarts))); err != nil {
			w.tb.Fatal(err)
		}
		w.restarts = m
		sameHashes(w.tb, []*Machine{w.ahead, m})
	case replay:
		w.catchUp()
	case install:
		if err := w.behind.Restore(bytes.NewReader(snapshotOf(w.tb, w.ahead))); err != nil {
			w.tb.Fatal(err)
		}
		w.late = nil
		sameHashes(w.tb, []*Machine{w.ahead, w.behind})
	case refuse:
		w.refused(w.ahead)
	case compareAll:
		w.compareAll(r, pick2(r, w.ahead, w.restarts))
	}
}

func pick2[T any](r *rand.Rand, a, b T) T {
	if r.IntN(2) == 0 {
		return a
	}
	return b
}

func (w *modelRun) catchUp() {
	w.tb.Helper()
	for i := range w.late {
		w.apply(w.behind, &w.late[i])
	}
	w.late = nil
}

// refused gives the machine an entry that it has, and one with a command of a
// version to come.
func (w *modelRun) refused(m *Machine) {
	w.tb.Helper()
	index, hash := m.Hash()
	_, err := m.Apply(index, w.mo.clock+time.Second, [][]byte{put("k", "")})
	_, err2 := m.Apply(index+1, w.mo.clock+time.Second, [][]byte{put("k", ""), {commandVersion + 1}})
	if !errors.Is(err, ErrIndexOrder) || !errors.Is(err2, ErrNewerVersion) {
		w.tb.Fatalf("entries that must be refused: %v, %v", err, err2)
	}
	if i, h := m.Hash(); i != index || h != hash {
		w.tb.Fatalf("an entry that was refused changed hash %x at %d to %x at %d", hash, index, h, i)
	}
}

// end looks at everything once more.
func (w *modelRun) end(r *rand.Rand) {
	w.tb.Helper()
	w.catchUp()
	for _, m := range []*Machine{w.ahead, w.restarts, w.behind} {
		w.compareAll(r, m)
	}
	for _, v := range w.views {
		sameList(w.tb, v.view, nil, nil, v.want)
	}
	for _, s := range w.snapshots {
		var b bytes.Buffer
		if _, err := s.snapshot.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), s.want) {
			w.tb.Fatalf("a snapshot written later is not the one of its moment (%v)", err)
		}
	}
	want := snapshotOf(w.tb, w.ahead)
	if !slices.EqualFunc([]*Machine{w.restarts, w.behind}, [][]byte{want, want}, func(m *Machine, want []byte) bool {
		return bytes.Equal(snapshotOf(w.tb, m), want)
	}) {
		w.tb.Fatal("machines with one hash write different snapshots")
	}
}

func sameHashes(tb testing.TB, machines []*Machine) {
	tb.Helper()
	index, hash := machines[0].Hash()
	for i, m := range machines[1:] {
		if gi, gh := m.Hash(); gi != index || gh != hash {
			tb.Fatalf("machine %d has hash %x at %d, machine 0 has %x at %d", i+1, gh, gi, hash, index)
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
	m := newModelMachine()
	if err := m.Restore(bytes.NewReader(snapshot)); err != nil {
		tb.Fatal(err)
	}
	return m
}
