package httpapi

import (
	"encoding/json"
	"math"
	"net/url"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzTTL: what is taken for a time to live, of a key and of a lease alike, is a
// duration within bounds; what it is given to is there until then, and no longer,
// whatever the log's clock is.
func FuzzTTL(f *testing.F) {
	for _, s := range []string{"1s", "30s", "87600h", "87600h0m0.000000001s", "0.999999999s", "1m30s", "1e3s", "-1s", "0", "", "1.s", "+2h", "1000000µs", "9223372036854775807ns", "9223372036854775808ns", " 2s", "2s\x00", "2\xffs"} {
		f.Add(s, int64(0))
		f.Add(s, int64(math.MaxInt64)-int64(time.Hour))
	}
	f.Fuzz(func(t *testing.T, text string, clock int64) {
		start := time.Duration(clock &^ math.MinInt64)
		d, err := time.ParseDuration(text)
		good := err == nil && d >= time.Second && d <= 10*365*24*time.Hour
		fx := newFixture(t)
		fx.at(start)
		requests := []func() (status int){
			func() int { return fx.do("PUT", "/v1/kv/k?ttl="+url.QueryEscape(text), "v").StatusCode },
		}
		if utf8.ValidString(text) { // as all JSON is
			body, err := json.Marshal(map[string]string{"ttl": text})
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, func() int { return fx.do("POST", "/v1/leases", string(body)).StatusCode })
		}
		for i, request := range requests {
			if status := request(); good != (status == 201) || !good && status != 400 {
				t.Fatalf("request %d with %q: status %d", i, text, status)
			}
		}
		if !good {
			if fx.log.proposals() > 0 {
				t.Fatalf("%q was refused and written", text)
			}
			return
		}
		end := time.Duration(math.MaxInt64) // the end of time
		if start <= end-d {
			end = start + d
		}
		if before := end - 1; before >= start {
			fx.at(before)
			fx.expire()
			if n := fx.machine.LeaseCount(); fx.do("GET", "/v1/kv/k", "").StatusCode != 200 || n != len(requests)-1 {
				t.Fatalf("%q at %v: a nanosecond before its end it is gone; %d leases", text, start, n)
			}
		}
		fx.at(end)
		fx.expire()
		if n := fx.machine.LeaseCount(); fx.do("GET", "/v1/kv/k", "").StatusCode != 404 || n != 0 {
			t.Fatalf("%q at %v: it outlives its end; %d leases", text, start, n)
		}
	})
}

// FuzzMaxStale: what is taken for max_stale is a duration above 0, and a member that
// has heard from a leader answers exactly while that was no longer ago.
func FuzzMaxStale(f *testing.F) {
	for _, s := range []string{"1s", "1500ms", "1ns", "0", "0s", "-1s", "", "1e3s", "2562047h47m16.854775807s", "2562047h47m16.854775808s", ".5s", "1µs", "1h1", "5", "2s&max_stale=3s"} {
		f.Add(s, int64(1500*time.Millisecond), false)
		f.Add(s, int64(math.MaxInt64), true)
	}
	f.Fuzz(func(t *testing.T, text string, age int64, silent bool) {
		fx := newFixture(t)
		fx.want(201, "", "PUT", "/v1/kv/k", "v")
		fx.cluster.set(func(c *fakeCluster) { c.age, c.silent = time.Duration(age&^math.MinInt64), silent })
		want := 400
		if d, err := time.ParseDuration(text); err == nil && d > 0 {
			want = 503
			if !silent && time.Duration(age&^math.MinInt64) <= d {
				want = 200
			}
		}
		for _, path := range []string{"/v1/kv/k", "/v1/kv"} {
			if got := fx.do("GET", path+"?consistency=stale&max_stale="+url.QueryEscape(text), "").StatusCode; got != want {
				t.Fatalf("%s with %q, %v after a leader was heard (never: %v): status %d, want %d", path, text, time.Duration(age), silent, got, want)
			}
		}
	})
}
