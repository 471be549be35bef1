package fault

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Each kind is dealt once before any is dealt twice, two at once about a third
// of the time and only if they go together; the same seed deals the same.
func TestDeal(t *testing.T) {
	deal := func(seed uint64) (rounds []string) {
		n := NewNemesis(nil, seed, Kinds)
		for range 20 {
			seen := map[string]bool{}
			for len(seen) < len(Kinds) {
				ks := n.deal()
				var names []string
				for _, k := range ks {
					if seen[k.Name] {
						t.Fatalf("%s was dealt twice", k.Name)
					}
					seen[k.Name] = true
					names = append(names, k.Name)
				}
				if len(ks) == 2 && !ks[0].goesWith(ks[1]) {
					t.Fatalf("%q do not go together", names)
				}
				// Who hits all must not find that the network has hit nobody.
				if len(ks) == 2 && (ks[0].class == whole || ks[0].class == network && ks[1].class != whole && ks[1].class != network) {
					t.Fatalf("%q come in the wrong order", names)
				}
				rounds = append(rounds, strings.Join(names, " and "))
			}
		}
		return rounds
	}
	a := deal(5)
	if !reflect.DeepEqual(a, deal(5)) {
		t.Error("the same seed deals something else")
	}
	if reflect.DeepEqual(a, deal(6)) {
		t.Error("another seed deals the same")
	}
	pairs := 0
	for _, r := range a {
		if strings.Contains(r, " and ") {
			pairs++
		}
	}
	if share := float64(pairs) / float64(len(a)); share < 0.22 || share > 0.4 {
		t.Errorf("%.0f %% of the rounds have two at once", 100*share)
	}
}

func TestGoesWith(t *testing.T) {
	byName := map[string]Kind{}
	for _, k := range Kinds {
		byName[k.Name] = k
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"kill -9 of all", "30 % loss", true},
		{"kill -9 of all", "SIGSTOP", false},
		{"rolling restart", "failing disk", false},
		{"slow disk", "SIGSTOP", true},
		{"corrupted minority", "change of members", false},
		{"corrupted minority", "kill -9 of one", true},
		{"delay", "partial cut", true},
		{"delay", "delay", false},
		{"kill -9 of the leader", "isolate the leader", false},
		{"kill -9 of the leader", "isolate a minority", true},
	} {
		a, b := byName[test.a], byName[test.b]
		if got := a.goesWith(b); got != test.want || b.goesWith(a) != test.want {
			t.Errorf("%s with %s: got %v, %v, want %v", a.Name, b.Name, got, b.goesWith(a), test.want)
		}
	}
}

func TestParseRemedy(t *testing.T) {
	for _, test := range []struct {
		name, out string
		want      way
		fails     bool
	}{
		{"a refusal", "starting\nkvd: d/wal: bad; to replace this member: curl --fail-with-body -X DELETE http://10.0.0.2:12380/v1/members/3 && kvd serve --join http://10.0.0.2:12380 --data-dir d.new --tick=50ms --insecure=true --listen-client=10.0.0.3:12380\n",
			way{"/v1/members/3", "d.new", []string{"--join", "http://10.0.0.2:12380", "--tick=50ms"}}, false},
		{"quoted", "kvd: curl -X DELETE 'http://10.0.0.2:12380/v1/members/3' && kvd serve --join http://h:1 --data-dir 'd.new'", way{"/v1/members/3", "d.new", []string{"--join", "http://h:1"}}, false},
		{"no command", "kvd: d/wal: bad", way{}, true},
		{"no directory", "curl -X DELETE http://h:1/v1/members/3 && kvd serve --join http://h:1", way{}, true},
		{"not the last line", "curl -X DELETE http://h:1/v1/members/3 && kvd serve --join http://h:1 --data-dir d\nmore", way{}, true},
	} {
		got, err := parseRemedy(test.out)
		if (err != nil) != test.fails || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

// logFile writes frames as a log has them, and zeros behind.
func logFile(t *testing.T, records ...[]byte) string {
	t.Helper()
	var b []byte
	for _, r := range records {
		padding := (8 - len(r)%8) % 8
		field := uint64(len(r))
		if padding > 0 {
			field |= uint64(0x80|padding) << 56
		}
		b = binary.LittleEndian.AppendUint64(b, field)
		b = append(append(b, r...), make([]byte, padding)...)
	}
	name := filepath.Join(t.TempDir(), "0.wal")
	if err := os.WriteFile(name, append(b, make([]byte, 4096)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A flip changes one bit, of an entry, and not of the last ones.
func TestFlipBit(t *testing.T) {
	var records [][]byte
	for i := range 40 {
		kind := byte(2)
		if i%2 == 1 {
			kind = 3 // a state
		}
		records = append(records, append([]byte{0x08, kind, 0x10, 0x05, 0x1a, byte(i + 1)}, []byte(strings.Repeat("x", i+1))...))
	}
	for seed := range uint64(200) {
		name := logFile(t, records...)
		before, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at, err := flipBit(name, rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var changed []int
		for i := range before {
			if x := before[i] ^ after[i]; x != 0 {
				changed = append(changed, i)
				if x&(x-1) != 0 {
					t.Errorf("seed %d: more than one bit of byte %d", seed, i)
				}
			}
		}
		if len(changed) != 1 || int64(changed[0]) != at {
			t.Fatalf("seed %d: changed %v, told %d", seed, changed, at)
		}
		if where := owner(records, at); where < 0 || where%2 == 1 || where >= 36 || before[at] != 'x' {
			t.Errorf("seed %d: byte %d is of record %d", seed, at, where)
		}
	}
	if _, err := flipBit(logFile(t, records[:10]...), rand.New(rand.NewPCG(1, 0))); err == nil {
		t.Error("a file of five entries was spoilt")
	}
}

// owner is the record in whose data a byte lies; -1: none.
func owner(records [][]byte, at int64) int {
	from := int64(0)
	for i, r := range records {
		from += 8
		if at >= from && at < from+int64(len(r)) {
			return i
		}
		from += int64(len(r)+7) / 8 * 8
	}
	return -1
}

// A rule is as good as its counter: of several, one that was met is enough, and
// none is not.
func TestAnyOf(t *testing.T) {
	yes := func() (string, error) { return "met", nil }
	no := func() (string, error) { return "", fmt.Errorf("not met") }
	if got, err := anyOf([]func() (string, error){no, yes, yes})(); err != nil || got != "met; met" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := anyOf([]func() (string, error){no, no})(); err == nil {
		t.Errorf("none was met: got %q", got)
	}
	w := &Wound{prove: []func() (string, error){yes, no}}
	w.examine()
	if w.Shown() || len(w.Proof) != 1 || len(w.Unshown) != 1 {
		t.Errorf("half of the evidence is missing: %+v", w)
	}
	if w := new(Wound); w.Shown() {
		t.Error("shown without evidence")
	}
}
