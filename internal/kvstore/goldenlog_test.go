package kvstore

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

const goldenLog = "log-v3.golden"

// TestGoldenLog is about versions that apply the same log differently: while
// members are upgraded one after the other, their states part. A log with all
// kinds of commands, written once and kept, must give the same answers and the
// same hashes after every entry for ever; the hashes too, since members compare
// them. A change that needs another outcome needs another version of the
// command, and a log of its own.
func TestGoldenLog(t *testing.T) {
	if *update {
		writeGoldenLog(t)
	}
	b, err := os.ReadFile(filepath.Join("testdata", goldenLog))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMachine()
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	entries, kinds := 0, make(map[string]int)
	for lines.Scan() {
		var index uint64
		var clock time.Duration
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			t.Fatalf("line %q", lines.Text())
		}
		if _, err := fmt.Sscan(fields[0]+" "+fields[1], &index, (*int64)(&clock)); err != nil {
			t.Fatal(err)
		}
		var cmds [][]byte
		for _, f := range fields[4:] {
			cmd, err := hex.DecodeString(f)
			if err != nil {
				t.Fatal(err)
			}
			cmds = append(cmds, cmd)
		}
		if got, want := applyGolden(t, m, index, clock, cmds, kinds), strings.Join(fields[2:4], " "); got != want {
			t.Fatalf("entry %d of commands %x: state and answers are %s, want %s", index, cmds, got, want)
		}
		if entries++; entries%50 == 0 {
			restarted := restored(t, snapshotOf(t, m))
			_, want := m.Hash()
			if _, got := restarted.Hash(); got != want {
				t.Fatalf("entry %d: a snapshot restores to another state", index)
			}
		}
	}
	if entries < 300 || len(kinds) < 8 {
		t.Errorf("%d entries with answers %v: the log shows little", entries, kinds)
	}
}

// applyGolden applies an entry and returns the hashes of the state and of the
// answers.
func applyGolden(t *testing.T, m *Machine, index uint64, clock time.Duration, cmds [][]byte, kinds map[string]int) string {
	t.Helper()
	results, err := m.Apply(index, clock, cmds)
	if err != nil {
		t.Fatalf("apply entry %d: %v", index, err)
	}
	var answers []byte
	for _, r := range results {
		answers = m.AppendResult(answers, r)
		kinds[r.Code.String()]++
	}
	_, hash := m.Hash()
	return fmt.Sprintf("%016x %016x", hash, xxhash.Sum64(answers))
}

// writeGoldenLog makes up a log. It is for a new version only.
func writeGoldenLog(t *testing.T) {
	t.Helper()
	var b bytes.Buffer
	mo := newModel()
	g := newGenerator(5, mo)
	m := NewMachine()
	for range 400 {
		e, ok := g.entry()
		if !ok {
			break
		}
		mo.begin(e.clock)
		var cmds [][]byte
		for i := range e.cmds {
			mo.apply(&e.cmds[i])
			cmds = append(cmds, e.cmds[i].bytes)
		}
		fmt.Fprintf(&b, "%d %d %s", e.index, e.clock, applyGolden(t, m, e.index, e.clock, cmds, make(map[string]int)))
		for _, cmd := range cmds {
			fmt.Fprintf(&b, " %x", cmd)
		}
		b.WriteByte('\n')
	}
	golden(t, goldenLog, b.Bytes())
}
