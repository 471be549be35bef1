package history

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWriteAndRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "h.jsonl")
	w, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	const clients, each = 8, 200
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for range each {
				start := w.Now()
				w.Op(&Op{ID: w.NextID(), Client: c, Kind: Put, Key: "k", Value: "<v>", TTL: time.Second,
					Start: start, End: w.Now(), Outcome: OK, Hit: true, Revision: 7,
					Txn: &TxnOp{Then: []Step{{Kind: Get, Key: "a"}}}})
			}
		})
	}
	wg.Wait()
	watch := &Watch{Watcher: 1, Stream: 2, What: Event, ID: 4, Type: "put", Item: &Item{Key: "k", ModRevision: 4}}
	w.Watch(watch)
	w.Fault(&Fault{ID: 1, Kind: "kill"})
	w.Add(Record{Hashes: &Hashes{Index: 9, Hashes: map[string]string{"1": "aa"}}})
	w.Add(Record{Run: &Run{Seed: 3}})
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}

	h, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Ops) != clients*each || len(h.Faults) != 1 || len(h.Hashes) != 1 || h.Run.Seed != 3 {
		t.Errorf("got %d operations, %d faults, %d hashes, seed %d", len(h.Ops), len(h.Faults), len(h.Hashes), h.Run.Seed)
	}
	if len(h.Watches) != 1 || !reflect.DeepEqual(h.Watches[0], watch) {
		t.Errorf("watch: got %+v", h.Watches)
	}
	ids := map[int64]bool{}
	for i, o := range h.Ops {
		ids[o.ID] = true
		if i > 0 && o.Start < h.Ops[i-1].Start {
			t.Fatalf("operation %d begins before the one before it", i)
		}
		if o.Value != "<v>" || o.TTL != time.Second || len(o.Txn.Then) != 1 {
			t.Fatalf("got %+v", o)
		}
	}
	if len(ids) != len(h.Ops) {
		t.Errorf("%d operations have %d ids", len(h.Ops), len(ids))
	}
	if _, err := Create(name); err == nil {
		t.Error("a second Create wrote over the history")
	}
}

func TestWriterTellsOfItsError(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(filepath.Join(t.TempDir(), "h.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w.f.Close()
	w.f = f
	w.buf.Reset(f)
	w.Op(&Op{ID: 1, Outcome: OK})
	for range 2 {
		if err := w.Close(); err == nil {
			t.Error("what was never written was no error")
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"cut short":            `{"op":{"id":1,"outcome":"ok"}}` + "\n" + `{"op":{"id":2,"out`,
		"unknown field":        `{"op":{"id":1,"outcome":"ok","valeu":"x"}}`,
		"no outcome":           `{"op":{"id":1}}`,
		"ends before it began": `{"op":{"id":1,"outcome":"ok","start":5,"end":4}}`,
		"nothing in it":        `{}`,
	} {
		if _, err := Decode(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestShort(t *testing.T) {
	a := bytes.Repeat([]byte("a"), 65)
	b := append(bytes.Clone(a[:64]), 'b')
	for _, tt := range []struct {
		value []byte
		want  string
	}{
		{nil, ""},
		{[]byte("x"), "x"},
		{a[:64], string(a[:64])},
		{[]byte{0xff}, "#1:a8100ae6aa1940d0b663bb31"},
	} {
		if got := Short(tt.value); got != tt.want {
			t.Errorf("Short(%q) = %q, want %q", tt.value, got, tt.want)
		}
	}
	if Short(a) == Short(b) || len(Short(a)) > 40 {
		t.Errorf("Short(a) = %q, Short(b) = %q", Short(a), Short(b))
	}
}
