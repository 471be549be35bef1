package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// damage is one way in which a disk, or a person, spoils a data directory.
type damage struct {
	name string
	// do spoils the directory and returns the file that the refusal must name.
	do   func(t *testing.T, dir string) (file string)
	says string // and what else it must say
	// starts: enough is left to have everything; the member starts.
	starts bool
}

// A damaged log is refused with exit code 3: which file, where, what to do.
// Nothing is deleted or repaired: the files may be all that is left.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	base := startCluster(t, 1).members[0]
	const keys = 200
	for i := range keys {
		base.put(strconv.Itoa(i), strings.Repeat("v", 1000))
	}
	base.kill()

	middle := func(t *testing.T, dir string) (string, record) {
		file := walFiles(t, dir)[0]
		es := entries(t, file)
		return file, es[len(es)/2]
	}
	testDamage(t, base, keys, strings.Repeat("v", 1000), []damage{
		{name: "a flipped bit", says: " byte ", do: func(t *testing.T, dir string) string {
			file, r := middle(t, dir)
			flip(t, file, r.off+8+r.size/2)
			return file
		}},
		{name: "a zeroed sector", says: " byte ", do: func(t *testing.T, dir string) string {
			file, r := middle(t, dir)
			zeroFrom(t, file, (r.off+511)/512*512, 512)
			return file
		}},
		{name: "a wrong length", says: " byte ", do: func(t *testing.T, dir string) string {
			file, r := middle(t, dir)
			overwrite(t, file, r.off, []byte{0xff, 0xff, 0x01})
			return file
		}},
		{name: "the second half zeroed", says: " byte ", do: func(t *testing.T, dir string) string {
			file, r := middle(t, dir)
			zeroFrom(t, file, r.off+8+r.size/2, dataEnd(t, file)-r.off)
			return file
		}},
		{name: "the last entry cut off", says: " byte ", do: func(t *testing.T, dir string) string {
			file := walFiles(t, dir)[0]
			es := entries(t, file)
			last := es[len(es)-1]
			zeroFrom(t, file, last.off, dataEnd(t, file)-last.off)
			return file
		}},
		{name: "the last entry torn", says: " byte ", do: func(t *testing.T, dir string) string {
			file := walFiles(t, dir)[0]
			es := entries(t, file)
			last := es[len(es)-1]
			zeroFrom(t, file, last.off+16, dataEnd(t, file)-last.off)
			return file
		}},
		{name: "a file of no bytes", do: func(t *testing.T, dir string) string {
			file := walFiles(t, dir)[0]
			truncate(t, file, 0)
			return file
		}},
		{name: "no file at all", do: func(t *testing.T, dir string) string {
			remove(t, walFiles(t, dir)...)
			return dir
		}},
	})
}

// The same for a log of several files, which are begun every 64 MB.
func TestMissingSegment(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("0123456789abcdef", 1<<16)
	base := startCluster(t, 1, "--snapshot-bytes", "1GiB").members[0]
	const keys = 140
	putAll(t, base, keys, value)
	base.kill()
	if n := len(walFiles(t, base.dir)); n < 3 {
		t.Fatalf("%d log files are too few for this test", n)
	}
	removeNth := func(nth func(n int) int) func(t *testing.T, dir string) string {
		return func(t *testing.T, dir string) string {
			files := walFiles(t, dir)
			remove(t, files[nth(len(files))])
			return dir
		}
	}
	testDamage(t, base, keys, value, []damage{
		{name: "first", do: removeNth(func(n int) int { return 0 })},
		{name: "middle", do: removeNth(func(n int) int { return n / 2 })},
		{name: "last", do: removeNth(func(n int) int { return n - 1 })},
	})
}

// A damaged snapshot is of no consequence while the one before it and the log
// behind that are there; without them the directory is refused.
func TestDamagedSnapshot(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("fedcba9876543210", 1<<16)
	base := startCluster(t, 1, "--snapshot-bytes", "22MiB", "--snapshot-entries", "1000000").members[0]
	const keys = 95
	putAll(t, base, keys, value)
	// Old logs are purged some time after the snapshot that makes them so.
	waitFor(t, 20*time.Second, "snapshots and a purged log", func() error {
		base.put("one more", "entry for the next snapshot")
		if err := base.call(http.MethodPost, "/v1/snapshots", nil).want(http.StatusCreated); err != nil {
			return err
		}
		s, err := base.status()
		if err != nil {
			return err
		}
		if first := walFiles(t, base.dir)[0]; s.SnapshotIndex == 0 || strings.HasSuffix(first, "0000000000000000-0000000000000000.wal") {
			return fmt.Errorf("snapshot at %d, first log file %s", s.SnapshotIndex, first)
		}
		return nil
	})
	base.kill()

	newest := func(t *testing.T, dir string) string {
		files := filesLike(t, dir, ".snap.db")
		return files[len(files)-1]
	}
	flipMiddle := func(t *testing.T, file string) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		flip(t, file, info.Size()/2)
	}
	testDamage(t, base, keys, value, []damage{
		{name: "a flipped bit in the newest", starts: true, do: func(t *testing.T, dir string) string {
			flipMiddle(t, newest(t, dir))
			return ""
		}},
		{name: "the newest cut", starts: true, do: func(t *testing.T, dir string) string {
			truncate(t, newest(t, dir), 100_000)
			return ""
		}},
		{name: "a flipped bit in all", do: func(t *testing.T, dir string) string {
			for _, file := range filesLike(t, dir, ".snap.db") {
				flipMiddle(t, file)
			}
			return newest(t, dir)
		}},
		{name: "all gone", do: func(t *testing.T, dir string) string {
			remove(t, filesLike(t, dir, ".snap.db")...)
			return dir
		}},
	})
}

// testDamage does each damage to a copy of base's directory and starts a member
// on it.
func testDamage(t *testing.T, base *member, keys int, value string, damages []damage) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			// The same member, reached where it always was, listening elsewhere:
			// its copies run at the same time.
			m := newMember(t, base.id, append(base.args[:len(base.args):len(base.args)], "--advertise-peer", base.peerURL)...)
			copyTree(t, base.dir, m.dir)
			file := d.do(t, m.dir)
			before := readTree(t, m.dir)
			if !d.starts {
				wantRefusal(t, m.command(), file, d.says, "the last good log index is ", " was durable; nothing was changed; ",
					"curl --fail-with-body -X DELETE ", "kvd serve --join ", "kvd restore ")
				sameTree(t, m.dir, before)
				return
			}
			m.start()
			m.waitReady(30 * time.Second)
			for i := range keys {
				r := m.call("GET", "/v1/kv/"+strconv.Itoa(i), nil)
				if r.status != 200 || !bytes.Equal(r.body, []byte(value)) {
					t.Fatalf("key %d: got %d, %d bytes", i, r.status, len(r.body))
				}
			}
		})
	}
}

// putAll writes keys 0 to n-1, a few at a time.
func putAll(t *testing.T, m *member, n int, value string) {
	t.Helper()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range next {
				if err := tryPut(m, strconv.Itoa(i), value); err != nil {
					t.Errorf("PUT %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func truncate(t *testing.T, file string, size int64) {
	t.Helper()
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, files ...string) {
	t.Helper()
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}
