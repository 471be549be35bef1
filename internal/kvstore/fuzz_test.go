package kvstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fullMachine holds what exampleMachine does and all that ends by itself or is
// remembered: leases with keys and without, TTLs, requests, and an expiry.
func fullMachine(tb testing.TB) *Machine {
	tb.Helper()
	m := exampleMachine(tb)
	two := m.state.leases.granted + 2
	apply(tb, m,
		encodeLease(commandGrant, uint64(MaxTTL)),
		encodeRequest("grant", encodeLease(commandGrant, uint64(time.Minute))),
		encodeWrite(commandPut, []byte("leased"), []byte("1"), PutOptions{Lease: leaseID(two), ContentType: "text/plain"}),
		encodeWrite(commandPut, []byte("leased"), []byte("2"), PutOptions{Lease: leaseID(two - 1)}),
		encodeWrite(commandPut, []byte("leased too"), nil, PutOptions{Lease: leaseID(two)}),
		encodeWrite(commandPut, []byte("short"), []byte("x"), PutOptions{TTL: MinTTL}),
		encodeRequest("put", encodeWrite(commandPut, []byte("long"), []byte("y"), PutOptions{TTL: time.Hour, WantPrev: true})),
		encodeRequest("put again", encodeWrite(commandPut, []byte("long"), []byte("z"), PutOptions{TTL: time.Hour, WantPrev: true})),
		encodeRequest("txn", encodeTxn(&Txn{
			If:   []Comparison{{Key: []byte("long"), Target: CompareValue, Op: Equal, Value: []byte("z")}},
			Then: []Op{{Kind: OpGet, Key: []byte("long")}, {Kind: OpRange, Limit: 2}, {Kind: OpPut, Key: []byte("bin"), WantPrev: true}},
		})),
		encodeRequest("failed", put("new", "", Condition{Kind: IfPresent})),
	)
	index, _ := m.Hash()
	if _, err := m.Apply(index+1, m.Clock()+2*time.Second, [][]byte{encodeExpire()}); err != nil {
		tb.Fatal(err)
	}
	return m
}

// newKinds are commands of version 3.
var newKinds = [][]byte{
	encodeWrite(commandPut, []byte("typed"), []byte("v"), PutOptions{TTL: MinTTL, WantPrev: true}),
	encodeWrite(commandPut, []byte("typed"), []byte("v"), PutOptions{Lease: leaseID(1), Condition: Condition{Kind: IfPresent}}),
	encodeLease(commandGrant, uint64(MaxTTL)),
	encodeLease(commandKeepAlive, uint64(leaseID(1))),
	encodeLease(commandRevoke, uint64(leaseID(2))),
	encodeExpire(),
	encodeRequest("put", put("long", "other")),
	encodeRequest("new", encodeLease(commandGrant, uint64(MinTTL))),
	encodeTxn(&Txn{}),
	encodeTxn(&Txn{
		If: []Comparison{
			{Key: []byte("bin"), Target: CompareExists, Op: Equal, Number: 1},
			{Key: []byte("long"), Target: CompareValue, Op: GreaterOrEqual, Value: []byte("a")},
			{Key: []byte("long"), Target: CompareLease, Op: Equal},
			{Key: []byte("k"), Target: CompareVersion, Op: Less, Number: 100},
		},
		Then: []Op{
			{Kind: OpPut, Key: []byte("bin"), Value: []byte("v"), TTL: MinTTL, WantPrev: true},
			{Kind: OpPut, Key: []byte("c"), ContentType: "text/plain", Lease: leaseID(1)},
			{Kind: OpGet, Key: []byte("bin")},
			{Kind: OpDelete, Key: []byte("typed"), WantPrev: true},
			{Kind: OpDeleteRange, Key: []byte("x"), End: nil},
			{Kind: OpRange, End: []byte("d"), Limit: 3, Reverse: true, KeysOnly: true},
		},
		Else: []Op{{Kind: OpRange, Key: []byte("a"), CountOnly: true}},
	}),
}

// FuzzCommand gives two machines the same bytes, among commands that are good:
// neither may panic, and they must agree.
func FuzzCommand(f *testing.F) {
	for _, c := range commandCases {
		f.Add(encodeCommand(c.cmd.kind, c.cmd.wantPrev, c.cmd.condition, c.cmd.key, c.contentType, c.cmd.value))
	}
	for _, c := range rangeCases {
		f.Add(c.enc)
	}
	for _, enc := range newKinds {
		f.Add(enc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if cmd, ok := decodeCommand(b); ok {
			if again := cmd.encode(); !bytes.Equal(again, b) {
				t.Fatalf("%x is encoded as %x", b, again)
			}
		}
		one, two := fullMachine(t), fullMachine(t)
		for range 2 {
			index, _ := one.Hash()
			cmds := [][]byte{put("k", "v"), b, del("bin"), b, encodeRequest("k", b)}
			r1, err1 := one.Apply(index+1, one.Clock()+time.Second, cmds)
			r2, err2 := two.Apply(index+1, two.Clock()+time.Second, cmds)
			if err1 != nil || err2 != nil {
				if errors.Is(err1, ErrNewerVersion) && errors.Is(err2, ErrNewerVersion) && newer(b) {
					return
				}
				t.Fatalf("apply: %v and %v", err1, err2)
			}
			sameResults(t, r1, r2)
			sameHashes(t, []*Machine{one, two})
			checkState(t, one)
		}
		sameHashes(t, []*Machine{one, restored(t, snapshotOf(t, two))})
	})
}

func sameResults(tb testing.TB, got, want []Result) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%d results and %d", len(got), len(want))
	}
	for i := range got {
		if d := diffResult(&got[i], &want[i]); d != "" {
			tb.Fatalf("result %d: %s", i, d)
		}
	}
}

func (cmd *command) encode() []byte {
	switch cmd.kind {
	case commandDeleteRange:
		return encodeDeleteRange(cmd.key, cmd.end)
	case commandCompact:
		return encodeCompact(cmd.revision)
	case commandRequest:
		return encodeRequest(string(cmd.key), cmd.inner.encode())
	case commandGrant:
		return encodeLease(cmd.kind, uint64(cmd.ttl))
	case commandKeepAlive, commandRevoke:
		return encodeLease(cmd.kind, uint64(cmd.lease))
	case commandExpire:
		return encodeExpire()
	case commandTxn:
		return encodeTxn(cmd.txn)
	}
	return encodeWrite(cmd.kind, cmd.key, cmd.value, PutOptions{
		ContentType: string(cmd.contentType), Condition: cmd.condition, WantPrev: cmd.wantPrev, TTL: cmd.ttl, Lease: cmd.lease,
	})
}

// fuzzLog is a log as bytes: of each entry one for what the clock moves, in
// seconds, of which 200 and more stand for twenty each; one for the number of its
// commands, modulo 8; and the commands with their lengths. What is left over at
// the end is a command.
func fuzzLog(b []byte, entry func(clock time.Duration, cmds [][]byte)) {
	var clock time.Duration
	c := cursor{b: b}
	for len(c.b) > 0 {
		step := time.Duration(c.byte()) * time.Second
		if step >= 200*time.Second {
			step *= 20
		}
		clock += step
		var cmds [][]byte
		for range c.byte() % 8 {
			left := c.b
			cmd := c.bytes()
			if c.bad && left != nil {
				cmd = left
			}
			cmds = append(cmds, cmd)
		}
		entry(clock, cmds)
	}
}

// logOf is fuzzLog's inverse for entries that all are a second apart.
func logOf(cmds ...[]byte) (b []byte) {
	for len(cmds) > 0 {
		n := min(len(cmds), 7)
		b = append(b, 1, byte(n))
		for _, cmd := range cmds[:n] {
			b = appendBytes(b, cmd)
		}
		cmds = cmds[n:]
	}
	return b
}

// FuzzApply applies a log of any bytes to two machines, of which one becomes what
// its snapshot restores to after each entry. They must agree to the end.
func FuzzApply(f *testing.F) {
	f.Add(logOf(newKinds...))
	for seed := range uint64(3) {
		g := newGenerator(seed, newModel())
		var cmds [][]byte
		for range 40 {
			c := g.command()
			g.mo.apply(&c)
			cmds = append(cmds, c.bytes)
		}
		f.Add(logOf(cmds...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 10_000 {
			return // a long log finds nothing that a short one does not
		}
		one, two := NewMachine(), NewMachine()
		index := uint64(0)
		fuzzLog(b, func(clock time.Duration, cmds [][]byte) {
			index++
			r1, err1 := one.Apply(index, clock, cmds)
			r2, err2 := two.Apply(index, clock, cmds)
			if (err1 == nil) != (err2 == nil) || err1 != nil && !errors.Is(err1, ErrNewerVersion) {
				t.Fatalf("apply: %v and %v", err1, err2)
			}
			sameResults(t, r1, r2)
			sameHashes(t, []*Machine{one, two})
			for _, r := range r1 {
				travels(t, one, &r)
			}
			two = restored(t, snapshotOf(t, two))
			sameHashes(t, []*Machine{one, two})
		})
		checkState(t, one)
		checkState(t, two)
	})
}

// travels has the result go to another member and come back as it is.
func travels(tb testing.TB, m *Machine, r *Result) {
	tb.Helper()
	b := m.AppendResult(nil, *r)
	back, err := m.DecodeResult(b)
	if err != nil {
		tb.Fatalf("result %+v in %x: %v", r, b, err)
	}
	if diff := diffResult(&back, r); diff != "" {
		tb.Fatalf("result after its way: %s", diff)
	}
}

// FuzzResult decodes any bytes; what is a result must be encoded as it came.
func FuzzResult(f *testing.F) {
	m := NewMachine()
	prev := &Item{Key: []byte("k"), Value: []byte("v"), ContentType: "text/plain", CreateRevision: 1, ModRevision: 200, Version: 3}
	mortal := &Item{Key: []byte("k"), CreateRevision: 1, ModRevision: 1, Version: 1, TTL: time.Minute}
	for _, r := range []Result{
		{Code: Created, Revision: 1, ModRevision: 1},
		{Code: Deleted, Revision: 300, Deleted: 200},
		{Code: Compacted, Revision: 1},
		{Code: Deleted, Revision: 300, Prev: prev},
		{Code: Deleted, Revision: 300, Prev: mortal},
		{Code: NotFound, Revision: 1, Replayed: true},
		{Code: LeaseGranted, Revision: 1, Lease: 1<<64 - 1, TTL: MaxTTL},
		{Code: TxnApplied, Revision: 1, Txn: &TxnResult{}},
		{Code: TxnApplied, Revision: 300, Replayed: true, Txn: &TxnResult{Succeeded: true, Ops: []OpResult{
			{Kind: OpPut, Code: Replaced, ModRevision: 300, Prev: mortal},
			{Kind: OpGet, Code: Found, Item: prev},
			{Kind: OpDelete, Code: Deleted, Count: 1, Prev: prev},
			{Kind: OpDeleteRange, Code: NotFound},
			{Kind: OpRange, Items: []Item{*prev, *mortal}, Count: 3, More: true},
		}}},
	} {
		f.Add(m.AppendResult(nil, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := m.DecodeResult(b)
		if err != nil {
			if !errors.Is(err, ErrBadResult) && !errors.Is(err, ErrNewerVersion) {
				t.Fatal(err)
			}
			return
		}
		if again := m.AppendResult(nil, r); !bytes.Equal(again, b) {
			t.Fatalf("%x is encoded as %x", b, again)
		}
	})
}

// FuzzRestore restores any bytes: they are refused and the old state stays, or
// they are the snapshot of what they restored. Where nothing is wrong but the hash
// at their end, they are given the right one: else no snapshot but the seeds would
// come as far as that.
func FuzzRestore(f *testing.F) {
	f.Add(snapshotOf(f, NewMachine()))
	f.Add(snapshotOf(f, exampleMachine(f)))
	f.Add(snapshotOf(f, fullMachine(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := fullMachine(t)
		_, before := m.Hash()
		keys := m.Len()
		err := m.Restore(bytes.NewReader(b))
		if err != nil {
			if _, after := m.Hash(); after != before || m.Len() != keys {
				t.Fatal("the old state is gone")
			}
			if !errors.Is(err, ErrBadSnapshot) && !errors.Is(err, ErrNewerVersion) {
				t.Fatal(err)
			}
			if b = withHash(b, err); b == nil {
				return
			}
			if err := m.Restore(bytes.NewReader(b)); err != nil {
				return // something behind the hash
			}
		}
		checkState(t, m)
		if again := snapshotOf(t, m); !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x", b, again)
		}
		goesOn(t, m, restored(t, b))
	})
}

// withHash puts the hash at the end of a snapshot that err says it should have; nil
// if it says something else.
func withHash(b []byte, err error) []byte {
	_, s, found := strings.Cut(err.Error(), "hash of the state is ")
	s, _, _ = strings.Cut(s, ",")
	hash, errHash := strconv.ParseUint(s, 16, 64)
	if !found || errHash != nil || len(b) < 8 {
		return nil
	}
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint64(b[len(b)-8:], hash)
	return b
}

// goesOn applies commands to two machines of one state, which must not notice
// where it came from.
func goesOn(tb testing.TB, one, two *Machine) {
	tb.Helper()
	index, _ := one.Hash()
	if index > 1<<63 || one.Revision() > 1<<63 || one.Clock() > 1<<61 || one.state.leases.granted > 1<<63 || one.state.requests.next > 1<<63 {
		return // where no store gets
	}
	for i, step := range []time.Duration{0, time.Hour, MaxTTL, MaxTTL} {
		cmds := append([][]byte{encodeRequest(fmt.Sprint("new", i), put("k", "v"))}, newKinds...)
		cmds = append(cmds, encodeCompact(one.Revision()))
		r1, err1 := one.Apply(index+uint64(i)+1, one.Clock()+step, cmds)
		r2, err2 := two.Apply(index+uint64(i)+1, two.Clock()+step, cmds)
		if err1 != nil || err2 != nil {
			tb.Fatalf("apply: %v and %v", err1, err2)
		}
		sameResults(tb, r1, r2)
		sameHashes(tb, []*Machine{one, two})
		checkState(tb, one)
	}
}
