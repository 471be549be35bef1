package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kvd/client"
	"kvd/test/daemon"
)

// member is one process of the cluster under test.
type member struct {
	url  string
	peer string
	cmd  *exec.Cmd
}

// kill ends the process, and waits until it is gone. It may be called twice.
func (m *member) kill() {
	if m.cmd.ProcessState == nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
	}
}

// freeAddr is a loopback address that stays free until a member listens there.
func freeAddr(t *testing.T) string {
	t.Helper()
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// startCluster builds kvd and starts n members of it.
func startCluster(t *testing.T, n int) []*member {
	t.Helper()
	// `go test` keeps results until a file or directory changes that the test
	// has opened; it cannot know that this one builds a binary.
	for _, dir := range []string{"../cmd", "../internal"} {
		if err := filepath.WalkDir(dir, func(_ string, _ os.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(t.TempDir(), "kvd")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./cmd/kvd")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var members []*member
	var founders []string
	for i := range n {
		m := &member{url: "http://" + freeAddr(t), peer: "http://" + freeAddr(t)}
		members = append(members, m)
		founders = append(founders, fmt.Sprintf("%d=%s", i+1, m.peer))
	}
	for i, m := range members {
		dir := t.TempDir()
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		m.cmd = exec.Command(bin, "serve", "--id", fmt.Sprint(i+1), "--data-dir", filepath.Join(dir, "data"),
			"--listen-client", strings.TrimPrefix(m.url, "http://"), "--listen-peer", strings.TrimPrefix(m.peer, "http://"),
			"--cluster", strings.Join(founders, ","), "--tick", "20ms")
		m.cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "KVD_") })
		m.cmd.Stdout, m.cmd.Stderr = log, log
		if err := m.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			m.kill()
			if b, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
				t.Logf("the end of the log of %s:\n%s", m.url, b[max(0, len(b)-2000):])
			}
		})
	}
	return members
}

// waitReady waits until a member takes requests.
func waitReady(t *testing.T, c *client.Client, m *member) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		err := c.Ready(t.Context(), m.url)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestRealCluster uses the client against three processes of the kvd that it
// stands beside, one of which is killed on the way.
func TestRealCluster(t *testing.T) {
	members := startCluster(t, 3)
	cfg := client.Config{}
	for _, m := range members {
		cfg.Endpoints = append(cfg.Endpoints, m.url)
	}
	open := func() *client.Client {
		c, err := client.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	c := open()
	for _, m := range members {
		waitReady(t, c, m)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	t.Run("keys", func(t *testing.T) { testKeys(ctx, t, c) })
	t.Run("listings", func(t *testing.T) { testListings(ctx, t, c) })
	t.Run("history", func(t *testing.T) { testHistory(ctx, t, c) })
	t.Run("members", func(t *testing.T) { testMembers(ctx, t, c) })
	t.Run("long poll", func(t *testing.T) { testLongPoll(ctx, t, c) })
	t.Run("transactions", func(t *testing.T) { testTxn(ctx, t, c) })
	t.Run("leases", func(t *testing.T) { testLeases(ctx, t, c) })
	t.Run("watch", func(t *testing.T) { testWatch(ctx, t, c, open(), members[0].kill) })
	t.Run("failover", func(t *testing.T) {
		members[0].kill()
		for i := range 20 {
			put, err := c.Put(ctx, fmt.Sprintf("failover/%d", i), []byte("v"), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Get(ctx, fmt.Sprintf("failover/%d", i), &client.GetOptions{ReadOptions: client.ReadOptions{MinRevision: put.Revision}})
			if err != nil || got.ModRevision != put.ModRevision {
				t.Errorf("got %+v, %v, want %+v", got, err, put)
			}
		}
		if err := c.Live(ctx, members[0].url); err == nil {
			t.Error("a member that was killed is alive")
		}
		if err := c.Live(ctx, members[1].url); err != nil {
			t.Error(err)
		}
	})
}

func testKeys(ctx context.Context, t *testing.T, c *client.Client) {
	for _, key := range []string{"keys/a", "a//b", "../x", "%2F", "/", "a?b=c", "\x00\xff", "keys/ü"} {
		put, err := c.Put(ctx, key, []byte("1\x00"), &client.PutOptions{ContentType: "text/plain", If: client.IfAbsent(), Prev: true})
		if err != nil || !put.Created || put.Prev != nil || put.ModRevision != put.Revision {
			t.Fatalf("%q: %+v, %v", key, put, err)
		}
		if _, err := c.Put(ctx, key, nil, &client.PutOptions{If: client.IfAbsent()}); !errors.Is(err, client.ErrPrecondition) {
			t.Errorf("%q: a second creation: %v", key, err)
		} else if e, ok := errors.AsType[*client.Error](err); !ok || e.CurrentRevision != put.ModRevision || e.Outcome != client.NotApplied {
			t.Errorf("%q: %+v", key, e)
		}
		second, err := c.Put(ctx, key, []byte("2"), &client.PutOptions{If: client.IfRevision(put.ModRevision), Prev: true})
		if err != nil || second.Created || second.Prev == nil || second.Prev.Key != key || string(second.Prev.Value) != "1\x00" || second.Prev.ContentType != "text/plain" {
			t.Errorf("%q: %+v, %v", key, second, err)
			continue
		}
		got, err := c.Get(ctx, key, &client.GetOptions{Full: true})
		if err != nil || got.Key != key || string(got.Value) != "2" || got.Version != 2 || got.CreateRevision != put.ModRevision || got.ModRevision != second.ModRevision {
			t.Errorf("%q: %+v, %v", key, got, err)
		}
		if plain, err := c.Get(ctx, key, nil); err != nil || string(plain.Value) != "2" || plain.ModRevision != second.ModRevision || plain.Revision < second.Revision {
			t.Errorf("%q: %+v, %v", key, plain, err)
		}
		if same, err := c.Get(ctx, key, &client.GetOptions{Unless: second.ModRevision}); err != nil || !same.NotModified {
			t.Errorf("%q: %+v, %v", key, same, err)
		}
		stale := &client.GetOptions{ReadOptions: client.ReadOptions{Consistency: client.Stale, MinRevision: second.Revision}}
		if got, err := c.Get(ctx, key, stale); err != nil || string(got.Value) != "2" {
			t.Errorf("%q: %+v, %v", key, got, err)
		}
		gone, err := c.Delete(ctx, key, &client.DeleteOptions{If: client.IfPresent(), Prev: true})
		if err != nil || !gone.Deleted || gone.Prev == nil || string(gone.Prev.Value) != "2" {
			t.Errorf("%q: %+v, %v", key, gone, err)
		}
		if again, err := c.Delete(ctx, key, nil); err != nil || again.Deleted {
			t.Errorf("%q: %+v, %v", key, again, err)
		}
		if _, err := c.Get(ctx, key, nil); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%q: %v", key, err)
		}
	}
	if _, err := c.Put(ctx, strings.Repeat("k", 5000), nil, nil); !errors.Is(err, client.ErrTooLarge) {
		t.Errorf("a key that is too long: %v", err)
	}
	if _, err := c.Put(ctx, "", nil, nil); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("an empty key: %v", err)
	}
}

func testListings(ctx context.Context, t *testing.T, c *client.Client) {
	var all []string
	for i := range 25 {
		all = append(all, fmt.Sprintf("list/%02d", i))
	}
	all = append(all, "list/deep/1", "list/deep/2", "list/\xff\xfe")
	for _, key := range all {
		if _, err := c.Put(ctx, key, []byte(key), nil); err != nil {
			t.Fatal(err)
		}
	}
	collect := func(o *client.ListOptions) (keys []string) {
		for e, err := range c.All(ctx, o) {
			if err != nil {
				t.Error(err)
				break
			}
			if !o.KeysOnly && e.Prefix == "" && string(e.Value) != e.Key {
				t.Errorf("%q has value %q", e.Key, e.Value)
			}
			keys = append(keys, e.Prefix+e.Key)
		}
		return keys
	}
	folded := append(slices.Clone(all[:25]), "list/deep/", "list/\xff\xfe")
	backwards := func(keys []string) []string {
		keys = slices.Clone(keys)
		slices.Reverse(keys)
		return keys
	}
	for name, tt := range map[string]struct {
		o    client.ListOptions
		want []string
	}{
		"lines":           {client.ListOptions{Prefix: "list/"}, all},
		"lines, reverse":  {client.ListOptions{Prefix: "list/", Reverse: true, KeysOnly: true}, backwards(all)},
		"a range":         {client.ListOptions{Start: "list/03", End: "list/06"}, all[3:6]},
		"folded":          {client.ListOptions{Prefix: "list/", Separator: "/", Limit: 7}, folded},
		"folded, reverse": {client.ListOptions{Prefix: "list/", Separator: "/", Limit: 4, Reverse: true}, backwards(folded)},
	} {
		if got := collect(&tt.o); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}

	// Pages show the moment of the first.
	var paged []string
	o := &client.ListOptions{Prefix: "list/", Limit: 9}
	for {
		p, err := c.List(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range p.Items {
			paged = append(paged, i.Key)
		}
		if o.Cursor = p.Next; p.Next == "" {
			break
		}
		if _, err := c.Put(ctx, fmt.Sprintf("list/new%d", len(paged)), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(paged, all) {
		t.Errorf("pages: got %q, want %q", paged, all)
	}
	if n, err := c.Count(ctx, &client.ListOptions{Prefix: "list/"}); err != nil || n.Count != uint64(len(all)+3) {
		t.Errorf("count: %+v, %v", n, err)
	}
	dry, err := c.DeletePrefix(ctx, "list/", &client.DeletePrefixOptions{DryRun: true})
	if err != nil || dry.Deleted != uint64(len(all)+3) {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	gone, err := c.DeletePrefix(ctx, "list/", nil)
	if err != nil || gone.Deleted != dry.Deleted || gone.Revision <= dry.Revision {
		t.Errorf("delete: %+v, %v", gone, err)
	}
	if _, err := c.DeletePrefix(ctx, "", nil); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("delete everything by mistake: %v", err)
	}
}

func testHistory(ctx context.Context, t *testing.T, c *client.Client) {
	first, err := c.Put(ctx, "history", []byte("1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Put(ctx, "history", []byte("2"), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(revision uint64) *client.GetOptions {
		return &client.GetOptions{ReadOptions: client.ReadOptions{Revision: revision}}
	}
	if got, err := c.Get(ctx, "history", at(first.Revision)); err != nil || string(got.Value) != "1" {
		t.Errorf("got %+v, %v", got, err)
	}
	for range 2 { // to compact twice is no error
		if err := c.Compact(ctx, second.Revision); err != nil {
			t.Error(err)
		}
	}
	_, err = c.Get(ctx, "history", at(first.Revision))
	if e, ok := errors.AsType[*client.Error](err); !ok || !errors.Is(err, client.ErrCompacted) || e.OldestRevision != second.Revision {
		t.Errorf("got %v", err)
	}
	if _, err := c.Get(ctx, "history", at(second.Revision+1000)); !errors.Is(err, client.ErrFutureRevision) {
		t.Errorf("got %v", err)
	}
	if got, err := c.Get(ctx, "history", at(second.Revision)); err != nil || string(got.Value) != "2" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testMembers(ctx context.Context, t *testing.T, c *client.Client) {
	added, err := c.AddMember(ctx, client.NewMember{ID: 7, PeerURL: "http://" + freeAddr(t), StayLearner: true})
	if err != nil || added.ID != 7 || added.Role != client.RoleLearner || added.AutoPromote {
		t.Errorf("added %+v, %v", added, err)
	}
	if _, err := c.AddMember(ctx, client.NewMember{ID: 7, PeerURL: "http://" + freeAddr(t)}); !errors.Is(err, client.ErrMemberExists) {
		t.Errorf("added twice: %v", err)
	}
	all, err := c.Members(ctx)
	if err != nil || len(all) != 4 || all[3].ID != 7 || all[3].Role != client.RoleLearner || all[3].Started {
		t.Errorf("members %+v, %v", all, err)
	}
	if err := c.RemoveMember(ctx, 7, false); err != nil {
		t.Error(err)
	}
	if err := c.RemoveMember(ctx, 9, false); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("removed nobody: %v", err)
	}
	if _, err := c.AddMember(ctx, client.NewMember{ID: 7, PeerURL: "http://" + freeAddr(t)}); !errors.Is(err, client.ErrIDRemoved) {
		t.Errorf("added again: %v", err)
	}
	for i, endpoint := range c.Endpoints() {
		s, err := c.Status(ctx, endpoint)
		if err != nil || s.ID != uint64(i+1) || s.Leader == 0 || len(s.Voters) != 3 || len(s.Raw) == 0 {
			t.Errorf("status of %s: %+v, %v", endpoint, s, err)
		}
	}
	if s, err := c.Status(ctx, ""); err != nil || s.Revision == 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
}
