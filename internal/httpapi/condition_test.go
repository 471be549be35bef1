package httpapi

import (
	"errors"
	"net/http"
	"testing"

	"kvd/internal/kvstore"
)

func TestWriteCondition(t *testing.T) {
	tests := []struct {
		match, none []string
		want        kvstore.Condition
		bad         bool
	}{
		{want: kvstore.Condition{Kind: kvstore.Always}},
		{match: []string{"*"}, want: kvstore.Condition{Kind: kvstore.IfPresent}},
		{match: []string{" * "}, want: kvstore.Condition{Kind: kvstore.IfPresent}},
		{none: []string{"*"}, want: kvstore.Condition{Kind: kvstore.IfAbsent}},
		{match: []string{`"42"`}, want: kvstore.Condition{Kind: kvstore.IfRevision, Revision: 42}},
		{match: []string{"\t\"42\" "}, want: kvstore.Condition{Kind: kvstore.IfRevision, Revision: 42}},
		{match: []string{`"18446744073709551615"`}, want: kvstore.Condition{Kind: kvstore.IfRevision, Revision: 1<<64 - 1}},

		{match: []string{""}, bad: true},
		{match: []string{","}, bad: true},
		{match: []string{`"0"`}, bad: true}, // no key has it, and a store might take it for "none"
		{match: []string{`"042"`}, bad: true},
		{match: []string{`"+42"`}, bad: true},
		{match: []string{`"-1"`}, bad: true},
		{match: []string{`"4_2"`}, bad: true},
		{match: []string{`"18446744073709551616"`}, bad: true},
		{match: []string{`42`}, bad: true},
		{match: []string{`"42`}, bad: true},
		{match: []string{`"`}, bad: true},
		{match: []string{`""`}, bad: true},
		{match: []string{`"abc"`}, bad: true},
		{match: []string{`W/"42"`}, bad: true},
		{match: []string{`"42", "43"`}, bad: true},
		{match: []string{`"42"`, `"43"`}, bad: true},
		{match: []string{`*, "42"`}, bad: true},
		{match: []string{`"42", *`}, bad: true},
		{match: []string{`*`, `*`}, bad: true},
		{none: []string{`"42"`}, bad: true},
		{none: []string{`W/"42"`}, bad: true},
		{none: []string{``}, bad: true},
		{match: []string{`"42"`}, none: []string{"*"}, bad: true},
		{match: []string{`*`}, none: []string{`"42"`}, bad: true},
	}
	for _, tt := range tests {
		header := make(http.Header)
		if tt.match != nil {
			header["If-Match"] = tt.match
		}
		if tt.none != nil {
			header["If-None-Match"] = tt.none
		}
		got, err := writeCondition(header)
		if tt.bad != errors.Is(err, errBadCondition) || !tt.bad && got != tt.want {
			t.Errorf("%v: got %+v, %v; want %+v, bad %v", header, got, err, tt.want, tt.bad)
		}
	}
}

func TestBadConditions(t *testing.T) {
	f := newFixture(t)
	for _, headers := range [][]string{
		{`If-Match: W/"1"`}, {"If-Match: 1"}, {`If-None-Match: W/"1"`}, {`If-Match: "1"`, "If-None-Match: *"},
	} {
		f.wantProblem(400, "bad_condition", "", "GET", "/v1/kv/k", "", headers...)
		f.wantProblem(400, "bad_condition", notApplied, "PUT", "/v1/kv/k", "v", headers...)
		f.wantProblem(400, "bad_condition", notApplied, "DELETE", "/v1/kv/k", "", headers...)
	}
	f.wantProblem(400, "bad_condition", notApplied, "DELETE", "/v1/kv/k", "", "If-None-Match: *")
	if n := f.log.proposals(); n != 0 {
		t.Errorf("%d commands were proposed", n)
	}
}

// FuzzConditions: a condition is read as written or refused. What was read
// writes itself back as one of the accepted spellings with the same meaning.
func FuzzConditions(f *testing.F) {
	for _, s := range []string{"*", `"42"`, `W/"42"`, `"1", "2"`, `"0"`, "", " ,", `"18446744073709551616"`, `*,*`} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, none bool) {
		field := "If-Match"
		if none {
			field = "If-None-Match"
		}
		header := http.Header{field: {s}}
		cond, err := writeCondition(header)
		if err != nil {
			if !errors.Is(err, errBadCondition) {
				t.Fatalf("%q: %v", s, err)
			}
		} else {
			switch cond.Kind {
			case kvstore.IfRevision:
				if cond.Revision == 0 || none {
					t.Fatalf("%s: %q became %+v", field, s, cond)
				}
				again, err := writeCondition(http.Header{field: {etag(cond.Revision)}})
				if err != nil || again != cond {
					t.Fatalf("%q: %+v, then %+v, %v", s, cond, again, err)
				}
			case kvstore.IfPresent, kvstore.IfAbsent:
				if (cond.Kind == kvstore.IfAbsent) != none {
					t.Fatalf("%s: %q became %+v", field, s, cond)
				}
			default:
				// Above all: a condition that is there never becomes none.
				t.Fatalf("%s: %q became %+v", field, s, cond)
			}
		}
		match, noneTags, err := readCondition(header)
		if err == nil && (match == nil) == (noneTags == nil) {
			t.Fatalf("%s: %q read as %v and %v", field, s, match, noneTags)
		}
	})
}
