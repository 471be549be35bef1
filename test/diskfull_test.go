//go:build linux

package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freeSpace is what the file system of dir has left.
func freeSpace(t testing.TB, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// ballast takes space of a file system, without writing to it.
func ballast(dir string, bytes int64) (file string, err error) {
	f, err := os.CreateTemp(dir, "ballast")
	if err != nil {
		return "", err
	}
	defer f.Close()
	return f.Name(), syscall.Fallocate(int(f.Fd()), 0, 0, bytes)
}

// wantFull waits until a member refuses to put, and checks how.
func wantFull(t *testing.T, m *member) {
	t.Helper()
	var r *response
	waitFor(t, 10*time.Second, m.name()+" refuses to put", func() error {
		r = m.call(http.MethodPut, "/v1/kv/filler", []byte("x"))
		return r.want(http.StatusInsufficientStorage)
	})
	wantProblem(t, r, http.StatusInsufficientStorage, "no_space", "not_applied")
}

func wantRoom(t *testing.T, m *member) {
	t.Helper()
	waitFor(t, 10*time.Second, m.name()+" takes a put again", func() error {
		return m.call(http.MethodPut, "/v1/kv/filler", []byte("x")).want(http.StatusCreated, http.StatusNoContent)
	})
}

// A member whose disk falls below the reserve stops the writes of the whole
// cluster, until there is room again. It needs no rights: the reserve is made to lie
// below what the disk of the test has left. Not parallel: other tests use that too.
func TestDiskReserve(t *testing.T) {
	const below, takes = 2 << 30, 4 << 30
	dir := t.TempDir()
	free := freeSpace(t, dir)
	if free < takes+1<<30 {
		t.Skipf("NOT RUN: %s has %d MiB left, %d are needed", dir, free>>20, (takes+1<<30)>>20)
	}
	c := newCluster(t, 3)
	c.members[1].args = append(c.members[1].args, "--disk-reserve-bytes", fmt.Sprint(free-below))
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	c.members[0].put("k", "v")

	file, err := ballast(dir, takes)
	if err != nil {
		t.Skipf("NOT RUN: no space can be taken in %s: %v", dir, err)
	}
	for _, m := range c.members {
		wantFull(t, m)
		m.wantValue("k", "v")
		m.call(http.MethodDelete, "/v1/kv/none", nil).mustBe(t, http.StatusNoContent)
	}
	// Whoever is gone limits nobody.
	c.members[1].kill()
	wantRoom(t, c.members[0])
	c.members[1].start()
	c.members[1].waitReady(15 * time.Second)
	wantFull(t, c.members[2])
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.members {
		wantRoom(t, m)
	}
}

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: a small file system can be mounted by root only; TestDiskReserve shows some of it")
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("NOT RUN: no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// A disk that is full to the last byte, the leader's as a rule: nothing that was
// acknowledged is lost, no member ends, and what frees room goes on. Writes go on
// when there is room, without a restart.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	const size, reserve = 768 << 20, 160 << 20
	small := smallDisk(t, size)
	c := newCluster(t, 3, "--disk-reserve-bytes", fmt.Sprint(reserve), "--snapshot-entries", "200")
	m := c.members[0]
	m.dir = filepath.Join(small, "data")
	m.args = append(m.args, "--election-ticks", "4") // it is the first to stand for election
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	// Filled by the clients of the store itself, whose log and snapshots grow, and by
	// others: nothing of what was acknowledged may be missing at the end.
	acked := map[string]string{}
	put := func(key, value string) *response {
		r := m.call(http.MethodPut, "/v1/kv/"+key, []byte(value), "Idempotency-Key", key)
		if r.status < 300 {
			acked[key] = value
		}
		return r
	}
	put("first", "1").mustBe(t, http.StatusCreated)
	if _, err := ballast(small, freeSpace(t, small)-reserve-20<<20); err != nil {
		t.Fatal(err)
	}
	filler := strings.Repeat("v", 256<<10)
	var last *response
	for i := range 4000 {
		if last = put(fmt.Sprintf("fill/%d", i), filler+fmt.Sprint(i)); last.status >= 300 {
			break
		}
	}
	wantProblem(t, last, http.StatusInsufficientStorage, "no_space", "not_applied")
	t.Logf("507 after %d values of 256 KiB, with %d MiB left of %d", len(acked)-1, freeSpace(t, small)>>20, size>>20)
	waitFor(t, 10*time.Second, "the disk is full", func() error {
		// A snapshot that was given up leaves room once more.
		left := freeSpace(t, small)
		if left == 0 {
			return nil
		}
		_, err := ballast(small, left)
		return errors.Join(fmt.Errorf("%d bytes are left", left), err)
	})
	for _, m := range c.members {
		wantFull(t, m)
		m.wantValue("first", "1")
	}
	if r := m.call(http.MethodPut, "/v1/kv/first", []byte("1"), "Idempotency-Key", "first"); r.status != http.StatusCreated || r.header.Get("Idempotent-Replay") != "true" {
		t.Errorf("a retry of what was applied: %d %s", r.status, r.body)
	}
	deleted := 0
	for key := range acked {
		if key != "first" && deleted < 300 {
			m.call(http.MethodDelete, "/v1/kv/"+key, nil).mustBe(t, http.StatusNoContent)
			delete(acked, key)
			deleted++
		}
	}
	for _, m := range c.members {
		if !m.process().running() {
			t.Fatalf("%s has ended", m.name())
		}
	}

	// One that is started on a disk below the reserve starts, and serves what needs no
	// room. The log needs that for one segment: a start with less would end the member
	// when the present one is full.
	lighten := func() {
		files, err := filepath.Glob(filepath.Join(small, "ballast*"))
		if err != nil {
			t.Fatal(err)
		}
		remove(t, files...)
	}
	m.kill()
	lighten()
	if _, err := ballast(small, freeSpace(t, small)-reserve+20<<20); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.waitReady(20 * time.Second)
	wantFull(t, m)
	m.wantValue("first", "1")
	m.call(http.MethodDelete, "/v1/kv/none", nil).mustBe(t, http.StatusNoContent)

	lighten()
	for _, m := range c.members {
		wantRoom(t, m)
	}
	for i := range 300 { // into another segment of the log
		put(fmt.Sprintf("again/%d", i), filler).mustBe(t, http.StatusCreated)
	}
	for _, m := range c.members {
		m.kill()
	}
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	for key, value := range acked {
		m.wantValue(key, value)
	}
}
