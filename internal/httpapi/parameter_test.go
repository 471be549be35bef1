package httpapi

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseParams(t *testing.T) {
	const all = paramsList | paramsDelete | paramTTL | paramLease | paramPrev | paramForce | paramVerbose | paramExclude
	many := func(m manyParams) params { return params{many: &m} }
	tests := []struct {
		query string
		want  params
		bad   string // the parameter named; "-": none
	}{
		{query: ""},
		{query: "&&"},
		{query: "consistency=stale", want: params{stale: true}},
		{query: "consistency=linearizable", want: params{linearizable: true}},
		{query: "max_stale=2s&min_revision=0", want: params{maxStale: 2 * time.Second}},
		{query: "min_revision=7&revision=18446744073709551615", want: params{minRevision: 7, revision: 1<<64 - 1}},
		{query: "prefix=a%2Fb+%ff&limit=10000", want: many(manyParams{prefix: []byte("a/b \xff"), limit: 10_000})},
		{query: "prefix=", want: many(manyParams{prefix: []byte{}})},
		{query: "prefix_base64=", want: many(manyParams{prefix: []byte{}})},
		{query: "start_base64=-_8=&end_base64=%2B/8", want: many(manyParams{start: []byte{0xfb, 0xff}, end: []byte{0xfb, 0xff}})},
		{query: "start_base64=+/8=", want: many(manyParams{start: []byte{0xfb, 0xff}})}, // as curl sends it
		{query: "keys=true&count=true&reverse=true&separator=//&cursor=x", want: many(manyParams{keys: true, count: true, reverse: true, separator: []byte("//"), cursor: "x"})},
		{query: "confirm=all&dry_run=true", want: many(manyParams{confirmed: true, dryRun: true})},
		{query: "timeout=2s&prev=true", want: params{timeout: 2 * time.Second, prev: true}},
		{query: "timeout=5m", want: params{timeout: 5 * time.Minute}},
		{query: "prev=false&force=true", want: params{force: true}},
		{query: "ttl=1m30s&lease=00000000000000ff", want: params{ttl: 90 * time.Second, lease: 255}},
		{query: "ttl=87600h", want: params{ttl: 87_600 * time.Hour}},
		{query: "verbose", want: params{verbose: true}},
		{query: "verbose=&exclude=a&exclude=b", want: params{verbose: true, exclude: []string{"a", "b"}}},
		{query: "%63onsistency=st%61le", want: params{stale: true}},

		{query: "ttl=", bad: "ttl"},
		{query: "ttl=0s", bad: "ttl"},
		{query: "ttl=-1s", bad: "ttl"},
		{query: "ttl=999ms", bad: "ttl"},
		{query: "ttl=87600h1ns", bad: "ttl"},
		{query: "ttl=1000000000000000000", bad: "ttl"},
		{query: "ttl=NaN", bad: "ttl"},
		{query: "ttl=30", bad: "ttl"},
		{query: "lease=", bad: "lease"},
		{query: "lease=7f", bad: "lease"},
		{query: "lease=0000000000000000", bad: "lease"},
		{query: "lease=00000000000000FF", bad: "lease"},
		{query: "lease=00000000000000fg", bad: "lease"},
		{query: "lease=+0000000000000ff", bad: "lease"},
		{query: "max_stale=0s", bad: "max_stale"},
		{query: "max_stale=2", bad: "max_stale"},
		{query: "min_revision=-1", bad: "min_revision"},
		{query: "revision=0", bad: "revision"},
		{query: "revision=18446744073709551616", bad: "revision"},
		{query: "prefix=a&prefix_base64=YQ", bad: "prefix_base64"}, // one parameter in two spellings
		{query: "prefix=" + strings.Repeat("a", 4097), bad: "prefix"},
		{query: "start_base64=a", bad: "start_base64"},
		{query: "start_base64=YR==", bad: "start_base64"}, // bits beyond the last byte
		{query: "end_base64=YWE%0AYQ", bad: "end_base64"},
		{query: "limit=0", bad: "limit"},
		{query: "limit=-1", bad: "limit"},
		{query: "limit=1000000000", bad: "limit"},
		{query: "limit=10001", bad: "limit"},
		{query: "cursor=", bad: "cursor"},
		{query: "separator=", bad: "separator"},
		{query: "confirm=true", bad: "confirm"},
		{query: "consistency=", bad: "consistency"},
		{query: "consistency=Stale", bad: "consistency"},
		{query: "consistency=stale&consistency=stale", bad: "consistency"},
		{query: "consistency=stale&consistenc%79=linearizable", bad: "consistency"},
		{query: "timeout=0s", bad: "timeout"},
		{query: "timeout=-1s", bad: "timeout"},
		{query: "timeout=5", bad: "timeout"},
		{query: "timeout=5m1ns", bad: "timeout"},
		{query: "timeout=1e9h", bad: "timeout"},
		{query: "prev=1", bad: "prev"},
		{query: "prev", bad: "prev"},
		{query: "exclude=", bad: "exclude"},
		{query: "ca=1", bad: "ca"},
		{query: "Prev=true", bad: "Prev"},
		{query: "=x", bad: "-"},
		{query: "%zz=1", bad: "%zz"},
		{query: "prev=%zz", bad: "prev"},
		{query: "prev=true;x=1", bad: "prev"},
		{query: strings.Repeat("x", 1000), bad: strings.Repeat("x", 64) + "…"},
	}
	for _, tt := range tests {
		got, err := parseParams(tt.query, all)
		if tt.bad == "" {
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q: got %+v, %v; want %+v", tt.query, got, err, tt.want)
			}
			continue
		}
		fault, ok := errors.AsType[*fault](err)
		if !ok || fault.cause != errBadParameter {
			t.Errorf("%q: got %+v, %v; want bad_parameter", tt.query, got, err)
		} else if want := strings.TrimPrefix(tt.bad, "-"); fault.parameter != want {
			t.Errorf("%q: error names %q, want %q", tt.query, fault.parameter, want)
		}
	}
	if _, err := parseParams("prev=true", paramTimeout); err == nil {
		t.Error("a parameter of another request was taken")
	}
}

// FuzzParams: whatever is taken is in the query as url.ParseQuery reads it, and
// only once.
func FuzzParams(f *testing.F) {
	for _, s := range []string{"", "consistency=stale", "timeout=2s&prev=true", "prev=true&prev=true", "%70rev=true", "a;b=1", "verbose", "exclude=a&exclude=b", "timeout=%32s", "+prev=true"} {
		f.Add(s)
	}
	const all = paramConsistency | paramTimeout | paramPrev | paramForce | paramVerbose | paramExclude
	f.Fuzz(func(t *testing.T, query string) {
		got, err := parseParams(query, all)
		if err != nil {
			if !errors.Is(err, errBadParameter) {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q was taken: %v", query, err)
		}
		for name, vs := range values {
			if len(vs) != 1 && name != "exclude" {
				t.Fatalf("%q: %s taken %d times", query, name, len(vs))
			}
		}
		if got.stale != (values.Get("consistency") == "stale") || got.prev != (values.Get("prev") == "true") ||
			got.force != (values.Get("force") == "true") || len(got.exclude) != len(values["exclude"]) ||
			got.timeout < 0 || got.timeout > maxTimeout || (got.timeout > 0) != values.Has("timeout") {
			t.Fatalf("%q: got %+v", query, got)
		}
	})
}
