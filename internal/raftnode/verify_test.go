package raftnode

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

func TestVerdict(t *testing.T) {
	members := func(voters, learners int) (out []Member) {
		for id := range voters + learners {
			out = append(out, Member{ID: uint64(id + 1), Learner: id >= voters})
		}
		return out
	}
	hash := func(h uint64) hashReport { return hashReport{Index: 7, Hash: h} }
	bad := hashReport{Index: 7, Error: "a bit"}
	type reports map[uint64]hashReport
	for _, c := range []struct {
		name     string
		members  []Member
		leader   uint64
		reports  reports
		hash     uint64
		diverged []uint64
		missing  []uint64
	}{
		{"all alike", members(3, 0), 1, reports{1: hash(5), 2: hash(5), 3: hash(5)}, 5, nil, nil},
		{"one of three", members(3, 0), 1, reports{1: hash(5), 2: hash(6), 3: hash(5)}, 5, []uint64{2}, nil},
		{"the leader of three", members(3, 0), 1, reports{1: hash(6), 2: hash(5), 3: hash(5)}, 5, []uint64{1}, nil},
		{"two that differ, the leader is right", members(2, 0), 2, reports{1: hash(5), 2: hash(6)}, 6, []uint64{1}, nil},
		{"three that differ", members(3, 0), 3, reports{1: hash(5), 2: hash(6), 3: hash(7)}, 7, []uint64{1, 2}, nil},
		{"two against two", members(4, 0), 3, reports{1: hash(5), 2: hash(5), 3: hash(6), 4: hash(6)}, 6, []uint64{1, 2}, nil},
		{"most of those that are there", members(5, 0), 1, reports{1: hash(6), 2: hash(5), 3: hash(5)}, 5, []uint64{1}, []uint64{4, 5}},
		{"the leader is damaged", members(2, 0), 1, reports{1: bad, 2: hash(5)}, 5, []uint64{1}, nil},
		{"the leader is damaged, the others differ", members(3, 0), 1, reports{1: bad, 2: hash(6), 3: hash(5)}, 6, []uint64{1, 3}, nil},
		{"damaged and different", members(3, 0), 1, reports{1: hash(5), 2: hash(6), 3: bad}, 5, []uint64{2, 3}, nil},
		{"learners do not vote", members(1, 2), 1, reports{1: hash(5), 2: hash(6), 3: hash(6)}, 5, []uint64{2, 3}, nil},
		{"the leader is missing", members(3, 0), 1, reports{2: hash(5), 3: hash(5)}, 5, nil, []uint64{1}},
		{"all are damaged", members(2, 0), 1, reports{1: bad, 2: bad}, 0, []uint64{1, 2}, nil},
		{"a stranger", members(1, 0), 1, reports{1: hash(5), 9: hash(6)}, 5, nil, nil},
		{"a learner alone", members(3, 1), 1, reports{4: hash(5)}, 0, nil, []uint64{1, 2, 3}},
		{"learners alone, that differ", members(1, 2), 1, reports{2: hash(5), 3: hash(6)}, 0, nil, []uint64{1}},
		{"a learner, all voters are damaged", members(2, 1), 1, reports{1: bad, 2: bad, 3: hash(5)}, 0, []uint64{1, 2}, nil},
		{"a learner and a voter", members(1, 1), 1, reports{1: hash(5), 2: hash(6)}, 5, []uint64{2}, nil},
		{"one voter of three", members(3, 1), 1, reports{2: hash(5), 4: hash(6)}, 0, nil, []uint64{1, 3}},
		{"two voters of four", members(4, 0), 1, reports{1: hash(5), 2: hash(6)}, 0, nil, []uint64{3, 4}},
		{"one voter of three, damaged", members(3, 0), 1, reports{2: bad}, 0, []uint64{2}, []uint64{1, 3}},
		{"all states are empty", members(2, 0), 1, reports{1: hash(0), 2: hash(0)}, 0, nil, nil},
		{"an empty state is wrong", members(3, 0), 1, reports{1: hash(0), 2: hash(5), 3: hash(5)}, 5, []uint64{1}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVerdict(7, c.leader, c.members, c.reports)
			if got := v.diverged(); v.Index != 7 || v.Hash != c.hash || !slices.Equal(got, c.diverged) || !slices.Equal(v.Missing, c.missing) {
				t.Errorf("%+v, diverged %v; want hash %d, diverged %v, missing %v", v, got, c.hash, c.diverged, c.missing)
			}
		})
	}
}

// TestJudge: what a member makes of a verdict, in the light of what it knows of
// the state that it holds now.
func TestJudge(t *testing.T) {
	const self = 3
	differs := map[uint64]uint64{1: 5, self: 6}
	scanned := func(index, hash uint64) *scan {
		return &scan{index: index, done: true, hash: hash, stop: func(error) {}}
	}
	for _, c := range []struct {
		name       string
		scan       *scan
		replacedAt uint64
		before     bool
		verdict    verdict
		want       bool
	}{
		{"alike", scanned(40, 5), 0, false, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5, self: 5}}, false},
		{"differs", scanned(40, 6), 0, false, verdict{Index: 40, Hash: 5, Hashes: differs}, true},
		{"differs, and its report was lost", scanned(40, 6), 0, false, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5}, Missing: []uint64{self}}, true},
		{"differed before it had another state", nil, 41, false, verdict{Index: 40, Hash: 5, Hashes: differs}, false},
		{"was damaged before it had another state", nil, 41, false, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5}, Damaged: []uint64{self}}, false},
		{"differs since it had another state", scanned(42, 6), 41, false, verdict{Index: 42, Hash: 5, Hashes: differs}, true},
		{"differed in an earlier life", nil, 0, false, verdict{Index: 40, Hash: 5, Hashes: differs}, true},
		{"was damaged in an earlier life", nil, 0, false, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5}, Damaged: []uint64{self}}, true},
		{"differed in an earlier life, not in this", scanned(40, 5), 0, false, verdict{Index: 40, Hash: 5, Hashes: differs}, false},
		{"is alike again", scanned(40, 5), 0, true, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5, self: 5}}, false},
		{"was alike in an earlier life", nil, 0, true, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5, self: 5}}, true},
		{"is missing", nil, 0, false, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5}, Missing: []uint64{self}}, false},
		{"a learner alone was heard", scanned(40, 5), 0, false, verdict{Index: 40, Hashes: map[uint64]uint64{4: 5}, Missing: []uint64{1, 2, self}}, false},
		{"a learner alone was heard, in an earlier life", nil, 0, false, verdict{Index: 40, Hashes: map[uint64]uint64{self: 5}, Missing: []uint64{1, 2}}, false},
		{"nobody has a hash to be alike", scanned(40, 5), 0, true, verdict{Index: 40, Hashes: map[uint64]uint64{4: 5}, Missing: []uint64{1, 2, self}}, true},
		{"another is damaged", nil, 0, false, verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{self: 5}, Damaged: []uint64{1}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := singleConfig()
			cfg.Member, cfg.Founders = self, nil
			n, err := New(cfg, newTestMachine(), nil)
			must(t, err)
			n.verifier.replacedAt = c.replacedAt
			if c.before {
				n.divergeLocked(errBadEntry)
			}
			n.verifier.scan = c.scan
			n.judge(c.verdict)
			if got := n.Diverged(); (got != nil) != c.want {
				t.Errorf("diverged: %v", got)
			}
			if v, ok := n.LastVerification(); !ok || v.Index != c.verdict.Index {
				t.Errorf("last verification %+v", v)
			}
		})
	}
}

// TestScanBehindVerdict: a member that comes to a check late compares as soon as
// it can.
func TestScanBehindVerdict(t *testing.T) {
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	_, s := n.verifier.begin(40, time.Minute)
	if at, again := n.verifier.begin(45, time.Minute); at != 40 || again != nil {
		t.Errorf("a second check belongs to %d, %v", at, again)
	}
	n.judge(verdict{Index: 40, Hash: 5, Hashes: map[uint64]uint64{1: 5}})
	if n.Diverged() != nil {
		t.Errorf("judged before it has a hash: %v", n.Diverged())
	}
	if at, again := n.verifier.begin(50, time.Minute); at != 50 || again != nil {
		t.Errorf("another check while it scans: %d, %v", at, again)
	}
	n.scanned(s, func(func() error) (uint64, error) { return 6, nil })
	if n.Diverged() == nil {
		t.Error("its hash differs, and it does not know")
	}
}

// TestDamagedSinceTheScan: a scan that saw nothing wrong does not speak for a state
// that was found damaged after it, by a snapshot for example. The next one does.
func TestDamagedSinceTheScan(t *testing.T) {
	good := func(func() error) (uint64, error) { return 5, nil }
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	check := func(index uint64) *scan {
		_, s := n.verifier.begin(index, time.Minute)
		return s
	}
	alike := func(index uint64) verdict {
		return verdict{Index: index, Hash: 5, Hashes: map[uint64]uint64{1: 5, n.cfg.Member: 5}}
	}
	n.scanned(check(40), good)
	n.damaged(45, errBadBody)
	if n.judge(alike(40)); n.Diverged() == nil {
		t.Error("a scan from before the damage has cleared it")
	}
	s := check(50)
	n.damaged(48, errBadBody) // found while it scans
	n.scanned(s, good)
	if n.judge(alike(50)); n.Diverged() == nil {
		t.Error("a scan that began before the damage was found has cleared it")
	}
	n.scanned(check(60), good)
	if n.judge(alike(60)); n.Diverged() != nil {
		t.Errorf("the state is that of the others again: %v", n.Diverged())
	}
}

// TestLongScans: a state that takes longer to hash than checks are apart is compared
// all the same. The leader goes by its own scan.
func TestLongScans(t *testing.T) {
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	n.members.Store(&membership{Members: map[uint64]Member{1: {ID: 1}, n.cfg.Member: {ID: n.cfg.Member}}})
	n.view.Store(&view{leader: n.cfg.Member})
	n.commit.Store(40)
	_, s := n.verifier.begin(40, n.verdictPatience())
	began := n.verifier.round.began
	due := func(after time.Duration) bool {
		_, due := n.due(began.Add(after), func([]uint64) bool { return true })
		return due
	}
	if due(time.Hour) || n.verifier.round.index != 40 {
		t.Error("the round ended before the leader had its own hash")
	}
	n.scanned(s, func(func() error) (uint64, error) { return 5, nil })
	s.took = time.Hour
	if due(110 * time.Minute) {
		t.Error("the other member had no time for a scan as long as the leader's")
	}
	if !due(2 * time.Hour) {
		t.Error("the leader waits for ever")
	}
	s.took = time.Second
	if due(n.verdictPatience()-time.Second) || !due(n.verdictPatience()) {
		t.Error("the patience with short scans is another than it should be")
	}
	must(t, n.takeReport(1, hashReport{Index: 40, Hash: 5}))
	if !due(time.Second) {
		t.Error("the leader waits although it has all hashes")
	}
}

// TestLeaderHearsItself: a verdict has the leader's own hash, whatever comes first, and
// a new leader waits until the others have had time to tell it theirs.
func TestLeaderHearsItself(t *testing.T) {
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	n.members.Store(&membership{Members: map[uint64]Member{1: {ID: 1}, 2: {ID: 2, Learner: true}, n.cfg.Member: {ID: n.cfg.Member}}})
	n.view.Store(&view{leader: n.cfg.Member})
	n.commit.Store(40)
	_, s := n.verifier.begin(40, n.verdictPatience())
	n.scanned(s, func(func() error) (uint64, error) { return 5, nil })
	must(t, n.takeReport(2, hashReport{Index: 40, Hash: 5}))
	late := n.verifier.round.began.Add(n.verdictPatience())
	answering := func([]uint64) bool { return true }
	if d, due := n.due(late, answering); !due || d.Hashes[n.cfg.Member] != 5 || !slices.Equal(d.Missing, []uint64{1}) {
		t.Errorf("%+v, due %v", d, due)
	}
	n.verifier.lead.since = late.Add(time.Millisecond - n.electionTimeout())
	if d, due := n.due(late, answering); due {
		t.Errorf("a new leader judges before it can have heard of all: %+v", d)
	}
	must(t, n.takeReport(1, hashReport{Index: 40, Hash: 5}))
	if d, due := n.due(late, answering); !due || len(d.Missing) > 0 || len(d.diverged()) > 0 {
		t.Errorf("with all hashes: %+v, due %v", d, due)
	}
}

// TestOwnEntriesArePlaced: an entry of this package's own is known by its place in the
// log at once, so that it is forgotten when another takes the place.
func TestOwnEntriesArePlaced(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	n, stop := start(t, singleConfig(), newTestMachine(), d)
	must(t, n.ReadBarrier(within(t, 10*time.Second)))
	index, err := ask(within(t, 10*time.Second), n, func(l *loop[int]) (uint64, error) {
		f, err := l.proposeOwn(kindVerdict, []byte("{}"))
		if err != nil {
			return 0, err
		}
		return f.index, nil
	})
	if err != nil || index == 0 {
		t.Errorf("placed at %d, %v", index, err)
	}
	must(t, stop())
	kill(d)
}

// TestPayloadGolden: entries of older versions are in logs for ever.
func TestPayloadGolden(t *testing.T) {
	for path, c := range map[string]struct{ value, empty any }{
		"testdata/verdict.golden": {&verdict{
			Index: 131, Hash: 0xfedcba9876543210, Hashes: map[uint64]uint64{1: 0xfedcba9876543210, 12: 5},
			Damaged: []uint64{3}, Missing: []uint64{4, 5},
		}, &verdict{}},
		"testdata/reseed.golden": {&reseedPoint{Member: 3, Boot: 0x1122334455667788, From: 1}, &reseedPoint{}},
	} {
		got, err := json.Marshal(c.value)
		must(t, err)
		if *update {
			must(t, os.WriteFile(path, append(got, '\n'), 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if string(got)+"\n" != string(want) {
			t.Errorf("%s: encoded as %s, want %s", path, got, want)
		}
		must(t, json.Unmarshal(want, c.empty))
		if !reflect.DeepEqual(c.empty, c.value) {
			t.Errorf("%s: decoded to %+v, want %+v", path, c.empty, c.value)
		}
	}
}

// FuzzOwnEntries: no bytes of a peer in an entry of ours, or in a report, end the
// member.
func FuzzOwnEntries(f *testing.F) {
	for _, kind := range []byte{kindCheck, kindVerdict, kindReseed} {
		f.Add(kind, []byte(nil))
		f.Add(kind, []byte(`{"index":3,"hash":5,"hashes":{"1":4},"damaged":[1,1],"missing":[9]}`))
		f.Add(kind, []byte(`{"member":1,"boot":0,"from":1}`))
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		if kind != kindCheck && kind != kindVerdict && kind != kindReseed {
			return
		}
		n, err := New(singleConfig(), newTestMachine(), nil)
		must(t, err)
		n.header = &bodyHeader{Membership: &membership{}}
		n.recovered = &Recovered{}
		a := newApplier(n)
		data := append(entryHeader{kind: kind}.append(nil), payload...)
		for index := range uint64(3) {
			e := &raftpb.Entry{Index: new(index + 1), Term: new(uint64(1)), Data: data}
			if err := a.apply(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = n.HandleForward(t.Context(), 2, append([]byte{forwardReport}, payload...))
		_, _ = n.HandleForward(t.Context(), 2, append([]byte{forwardReseed}, payload...))
	})
}

// TestReportsAreBounded: a member that tells of ever new checks takes no memory.
func TestReportsAreBounded(t *testing.T) {
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	n.view.Store(&view{leader: n.cfg.Member})
	n.commit.Store(1000)
	for index := range uint64(1000) {
		must(t, n.takeReport(2, hashReport{Index: index + 1}))
	}
	if got := len(n.verifier.reports); got != reportsOf {
		t.Errorf("reports to %d checks", got)
	}
	if n.takeReport(2, hashReport{Index: 1001}) == nil {
		t.Error("a report to an entry that is not committed was taken")
	}
}

// TestScanRests: it takes a fifth of a processor, and ends when it should.
func TestScanRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p := pacer{since: time.Now()}
		begin, worked := time.Now(), time.Duration(0)
		for p.pause(ctx) == nil {
			time.Sleep(100 * time.Microsecond) // work
			worked += 100 * time.Microsecond
		}
		if took := time.Since(begin); took > 10001*time.Millisecond || worked < 1900*time.Millisecond || worked > 2100*time.Millisecond {
			t.Errorf("worked for %v of %v", worked, took)
		}
	})
}
