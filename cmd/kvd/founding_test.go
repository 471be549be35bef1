package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"kvd/internal/raftnode"
)

// someFounders are founders of one list, each with a directory and a server that
// answers the others.
type someFounders struct {
	t     *testing.T
	list  string
	tells []*foundingHandler
	dirs  []string
}

func newFounders(t *testing.T, n int) *someFounders {
	c := &someFounders{t: t}
	var urls []string
	for range n {
		tell := &foundingHandler{}
		mux := http.NewServeMux()
		mux.Handle("GET "+foundingPath, tell)
		srv := httptest.NewServer(mux)
		t.Cleanup(srv.Close)
		urls = append(urls, srv.URL)
		c.tells, c.dirs = append(c.tells, tell), append(c.dirs, t.TempDir())
	}
	c.list = strings.Join(urls, ",")
	return c
}

// found runs one founder (from 1) until it knows its cluster, or limit is over.
func (c *someFounders) found(id uint64, limit time.Duration) (*founding, error) {
	return c.foundWith(id, c.list, limit)
}

func (c *someFounders) foundWith(id uint64, list string, limit time.Duration) (*founding, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	founders, err := parseCluster(list)
	if err != nil {
		return nil, err
	}
	disk, err := raftnode.OpenDisk(c.dirs[id-1], zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	f, err := loadFounding(disk)
	if err != nil {
		return nil, err
	}
	return found(ctx, &config{ID: id, founders: founders}, zap.NewNop(), disk, f, c.tells[id-1])
}

// all founds with all, the last one a moment later.
func (c *someFounders) all() []*founding {
	c.t.Helper()
	type result struct {
		f   *founding
		err error
	}
	results := make([]chan result, len(c.dirs))
	for i := range results {
		results[i] = make(chan result, 1)
		go func() {
			f, err := c.found(uint64(i+1), 30*time.Second)
			results[i] <- result{f, err}
		}()
	}
	var all []*founding
	for i := range results {
		r := <-results[i]
		if r.err != nil {
			c.t.Fatalf("founder %d: %v", i+1, r.err)
		}
		all = append(all, r.f)
	}
	return all
}

func TestFoundersAgree(t *testing.T) {
	c := newFounders(t, 3)
	// Two alone found nothing: the third may be the one that has a disk full of data.
	for _, id := range []uint64{1, 2} {
		if _, err := c.found(id, 300*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("founder %d without the others: %v", id, err)
		}
	}
	all := c.all()
	for _, f := range all {
		if f.cluster() != all[0].cluster() || f.cluster() == 0 || !f.complete() {
			t.Errorf("member %d: cluster %x of %+v, the first has %x", f.Member, f.cluster(), f, all[0].cluster())
		}
	}
	// A second cluster of the same list is another cluster.
	other := &someFounders{t: t, list: c.list, tells: c.tells, dirs: []string{t.TempDir(), t.TempDir(), t.TempDir()}}
	for _, tell := range c.tells {
		tell.doc.Store(nil)
	}
	if again := other.all(); again[0].cluster() == all[0].cluster() {
		t.Error("two clusters of one list have the same id")
	}
	// One that crashed before it had made its log begins again where it was,
	// even alone: all was settled.
	f, err := c.found(2, 30*time.Second)
	if err != nil || !maps.Equal(f.Tokens, all[1].Tokens) {
		t.Errorf("founder 2 again: %+v, %v; want %+v", f, err, all[1])
	}
}

// One that had lost its file while one other knew the whole is told by that one.
func TestWipedFounder(t *testing.T) {
	c := newFounders(t, 3)
	c.all()
	c.tells[0].doc.Store(nil) // not reachable
	c.dirs[1] = t.TempDir()
	_, err := c.found(2, 30*time.Second)
	wantExit(t, err, exitDataDir, "member 2 took part", "another data directory", "curl --fail-with-body -X DELETE http://ANY-MEMBER/v1/members/2 && kvd serve --join http://ANY-MEMBER", "ANY-MEMBER is the host")
	// Nobody else is there: it waits, and founds nothing.
	c.tells[2].doc.Store(nil)
	if _, err := c.found(2, 300*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("alone: %v", err)
	}
}

func TestFoundingRefused(t *testing.T) {
	c := newFounders(t, 3)
	urls := strings.Split(c.list, ",")
	c.all()
	swapped := strings.Join([]string{urls[1], urls[0], urls[2]}, ",")
	fresh := func() *someFounders {
		return &someFounders{t: t, tells: []*foundingHandler{{}, {}, {}}, dirs: []string{t.TempDir(), t.TempDir(), t.TempDir()}}
	}
	if _, err := fresh().foundWith(1, swapped, 30*time.Second); err == nil || exitCode(err) == exitOK {
		t.Errorf("URLs in another order: %v", err)
	}
	_, err := fresh().foundWith(1, "http://127.0.0.1:1,"+urls[1]+","+urls[2], 30*time.Second)
	wantExit(t, err, exitUsage, "--cluster", "another list", urls[0])
	c.tells[2].identify(raftnode.Identity{Cluster: 7, Member: 3})
	_, err = fresh().foundWith(1, "http://127.0.0.1:1,http://127.0.0.1:2,"+urls[2], 30*time.Second)
	wantExit(t, err, exitUsage, "member 3 at "+urls[2], "cluster 0000000000000007", "--join")
	// A list that was wrong at first is put right before anything came of it.
	again := newFounders(t, 2)
	if _, err := again.foundWith(1, "http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:3", 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	again.tells[0].doc.Store(nil) // it was stopped
	if all := again.all(); !slices.Equal(slices.Sorted(maps.Keys(all[0].Founders)), []uint64{1, 2}) {
		t.Errorf("founded by %v", all[0].Founders)
	}
}

func TestDamagedFoundingFile(t *testing.T) {
	c := newFounders(t, 1)
	disk, err := raftnode.OpenDisk(c.dirs[0], zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(disk.WriteFile(foundingFile, []byte("{")), disk.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.found(1, time.Second); !errors.Is(err, raftnode.ErrDataDir) {
		t.Errorf("damaged file: %v", err)
	}
}
