package kvstore

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzCommand gives two machines the same bytes, among commands that are good:
// neither may panic, and they must agree.
func FuzzCommand(f *testing.F) {
	for _, c := range commandCases {
		f.Add(encodeCommand(c.cmd.kind, c.cmd.wantPrev, c.cmd.condition, c.cmd.key, c.contentType, c.cmd.value))
	}
	for _, c := range rangeCases {
		f.Add(c.enc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if cmd, ok := decodeCommand(b); ok {
			if again := cmd.encode(); !bytes.Equal(again, b) {
				t.Fatalf("%x is encoded as %x", b, again)
			}
		}
		one, two := exampleMachine(t), exampleMachine(t)
		for range 2 {
			index, _ := one.Hash()
			cmds := [][]byte{put("k", "v"), b, del("bin"), b}
			r1, err1 := one.Apply(index+1, 0, cmds)
			r2, err2 := two.Apply(index+1, 0, cmds)
			if err1 != nil || err2 != nil {
				if errors.Is(err1, ErrNewerVersion) && errors.Is(err2, ErrNewerVersion) && newer(b) {
					return
				}
				t.Fatalf("apply: %v and %v", err1, err2)
			}
			for i := range r1 {
				if !sameResult(r1[i], r2[i]) {
					t.Fatalf("result %d: %+v and %+v", i, r1[i], r2[i])
				}
			}
			sameHashes(t, []*Machine{one, two})
			checkState(t, one)
		}
		sameHashes(t, []*Machine{one, restored(t, snapshotOf(t, two))})
	})
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
		ContentType: string(cmd.contentType), Condition: cmd.condition, WantPrev: cmd.wantPrev, TTL: cmd.ttl, Lease: cmd.lease})
}

// FuzzResult decodes any bytes; what is a result must be encoded as it came.
func FuzzResult(f *testing.F) {
	m := NewMachine()
	f.Add(m.AppendResult(nil, Result{Code: Created, Revision: 1, ModRevision: 1}))
	f.Add(m.AppendResult(nil, Result{Code: Deleted, Revision: 300, Deleted: 200}))
	f.Add(m.AppendResult(nil, Result{Code: Compacted, Revision: 1}))
	f.Add(m.AppendResult(nil, Result{Code: Deleted, Revision: 300, Prev: &Item{[]byte("k"), []byte("v"), "text/plain", 1, 200, 3, 0, 0}}))
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
// they are the snapshot of what they restored.
func FuzzRestore(f *testing.F) {
	f.Add(snapshotOf(f, NewMachine()))
	f.Add(snapshotOf(f, exampleMachine(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := exampleMachine(t)
		_, before := m.Hash()
		if err := m.Restore(bytes.NewReader(b)); err != nil {
			if _, after := m.Hash(); after != before || m.Len() != 7 {
				t.Fatal("the old state is gone")
			}
			if !errors.Is(err, ErrBadSnapshot) && !errors.Is(err, ErrNewerVersion) {
				t.Fatal(err)
			}
			return
		}
		checkState(t, m)
		if again := snapshotOf(t, m); !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x", b, again)
		}
	})
}
