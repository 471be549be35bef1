package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// diverge makes the Guard refuse, or serve again.
func (f *fixture) diverge(on bool) {
	f.admin.set(func(a *fakeAdmin) {
		if a.serving = nil; on {
			a.serving = fmt.Errorf("%w: at index 40", ErrDiverged)
		}
	})
}

// Every route has thought of the Guard: what shows or changes the store is
// refused, and tells why; all else goes on.
func TestGuard(t *testing.T) {
	const refusedRoutes = `
		GET /v1/kv/{key}, PUT /v1/kv/{key}, DELETE /v1/kv/{key}, GET /v1/kv, DELETE /v1/kv, POST /v1/compact, POST /v1/txn,
		GET /v1/leases, POST /v1/leases, GET /v1/leases/{id}, DELETE /v1/leases/{id}, POST /v1/leases/{id}/keepalive, GET /v1/requests/{key},
		GET /v1/watch, POST /v1/snapshots, GET /v1/snapshots/latest, GET /{key}, PUT /{key},`
	f := newFixture(t, func(c *Config) { c.Compat = true })
	f.do("PUT", "/v1/kv/k", "v")
	f.diverge(true)
	for _, res := range append([]resource{compatRoute}, routes...) {
		for _, a := range res.actions {
			target := strings.NewReplacer("{key}", "k", "/leases/{id}", "/leases/00000000000000ff", "/members/{id}", "/members/3", "/{id}", "/3").Replace(res.path)
			if strings.Contains(refusedRoutes, a.method+" "+res.path+",") {
				doc := f.wantProblem(503, "diverged", refused(a.method), a.method, target, "")
				if doc.Detail != ErrDiverged.Error()+": at index 40" {
					t.Errorf("%s %s: got detail %q", a.method, res.path, doc.Detail)
				}
			} else if body := readAll(t, f.do(a.method, target, "")); strings.Contains(body, `"code":"diverged"`) {
				t.Errorf("%s %s: %s", a.method, res.path, body)
			}
		}
	}
	if n := f.log.proposals(); n != 1 {
		t.Errorf("%d commands were proposed", n)
	}
	// A foreign page learns nothing about it.
	f.wantProblem(403, "cross_origin", notApplied, "PUT", "/v1/kv/k", "v", "Sec-Fetch-Site: cross-site")

	f.wantProblem(503, "not_ready", "", "GET", "/readyz", "")
	f.want(503, "[+]serving ok\n[+]raft ok\n[-]state failed: "+ErrDiverged.Error()+": at index 40\nnot ready\n", "GET", "/readyz?verbose", "")
	f.want(200, "ok\n", "GET", "/readyz?exclude=state", "")
	f.want(200, "ok\n", "GET", "/livez", "")
	if body := readAll(t, f.do("GET", "/v1/status", "")); !strings.Contains(body, `"diverged":"`+ErrDiverged.Error()+`: at index 40"`) {
		t.Errorf("got %s", body)
	}
	if body := readAll(t, f.do("GET", "/metrics", "")); !strings.Contains(body, "\nkvd_state_diverged 1\n") {
		t.Error("metrics do not tell")
	}

	f.diverge(false)
	f.want(200, "v", "GET", "/v1/kv/k", "")
	f.want(200, "ok\n", "GET", "/readyz", "")
	if body := readAll(t, f.do("GET", "/metrics", "")); !strings.Contains(body, "\nkvd_state_diverged 0\n") {
		t.Error("metrics do not tell")
	}
}

// Watches end with the first request that finds the state diverged, and before
// they tell anything of it.
func TestWatchesEndWhenDiverged(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	for name, ends := range map[string]func(){
		"by a request":    func() { f.do("GET", "/v1/kv/k", "") },
		"by a probe":      func() { f.do("GET", "/readyz", "") },
		"by who knows":    f.h.EndWatches,
		"before an event": func() { f.fill(1, 1) },
	} {
		watches := []*watching{f.watch(addr, "", f.machine.Revision()), f.watch(addr, "?key=none", f.machine.Revision(), sse)}
		if name == "before an event" {
			watches = watches[:1]
		}
		f.diverge(true)
		ends()
		for _, w := range watches {
			w.wantEnd()
		}
		f.diverge(false)
		// There are new ones afterwards.
		again := f.watch(addr, "", f.machine.Revision())
		f.do("PUT", "/v1/kv/k", "v")
		if got := again.line(); !strings.Contains(got, `"type":"put"`) {
			t.Errorf("%s: got %s", name, got)
		}
		again.Close()
		f.h.EndWatches()
	}
}

// Without anybody who asks, the next progress ends a watch.
func TestIdleWatchEndsWhenDiverged(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.ProgressEvery = 10 * time.Millisecond })
	w := f.watch(f.serve(ServerConfig{}), "?key=none", 0)
	f.diverge(true)
	for {
		line, err := w.body.ReadString('\n')
		if err != nil {
			break
		}
		if !strings.Contains(line, "progress") {
			t.Fatalf("got %s", line)
		}
	}
	if n := f.machine.Watchers(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

// A long poll must not say that nothing has changed.
func TestLongPollsEndWhenDiverged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.do("PUT", "/v1/kv/k", "v")
		start := time.Now()
		known := f.later("GET", "/v1/kv/k?wait=5m", `If-None-Match: "1"`)
		missing := f.later("GET", "/v1/kv/none?wait=5m")
		synctest.Wait()
		f.diverge(true)
		f.do("GET", "/readyz", "")
		checkProblem(t, <-known, 503, "diverged", "")
		checkProblem(t, <-missing, 503, "diverged", "")
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v", took)
		}
		// Neither that it has: the news may be none.
		f.diverge(false)
		news := f.later("GET", "/v1/kv/key%2F00000000?wait=5m")
		synctest.Wait()
		f.diverge(true)
		f.fill(1, 1)
		checkProblem(t, <-news, 503, "diverged", "")
	})
}

func TestDisk(t *testing.T) {
	f := newFixture(t)
	f.admin.set(func(a *fakeAdmin) { a.disk = Disk{Free: 300, Reserve: 256, Short: []uint64{3}} })
	if body := readAll(t, f.do("GET", "/v1/status", "")); !strings.Contains(body, `"disk":{"free_bytes":300,"reserve_bytes":256,"short":[3]}`) {
		t.Errorf("got %s", body)
	}
	f.want(200, "ok\n", "GET", "/readyz", "")
	for name, want := range map[string]string{"disk_free_bytes": "300", "disk_reserve_bytes": "256", "disk_short": "1"} {
		if body := readAll(t, f.do("GET", "/metrics?name[]=kvd_"+name, "")); !strings.Contains(body, "\nkvd_"+name+" "+want+"\n") {
			t.Errorf("got %s", body)
		}
	}
	f.admin.set(func(a *fakeAdmin) { a.disk.Free = 255 })
	f.want(200, "ok\n", "GET", "/readyz", "") // reads and deletes go on here, as everywhere
}
