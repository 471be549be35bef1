package kvstore_test

import (
	"context"
	"testing"

	"kvd/internal/kvstore"
)

// crowdedLog applies what others write before what it is given: that is what a
// log does between a proposal and its place.
type crowdedLog struct {
	soloLog
	before func() // nil: nobody writes
}

func (l *crowdedLog) Propose(ctx context.Context, cmd []byte) (kvstore.Result, error) {
	if before := l.before; before != nil {
		l.before = nil
		before()
	}
	return l.soloLog.Propose(ctx, cmd)
}

// TestConditionIsJudgedByTheLog: a condition is judged on what the log has made of
// the key when the write comes to its place, and not on what the member that was
// asked held before. Otherwise two writers both win, or none.
func TestConditionIsJudgedByTheLog(t *testing.T) {
	key := []byte("k")
	for _, tt := range []struct {
		name      string
		first     bool // the key is there when the write is asked for
		meanwhile string
		c         kvstore.Condition
		put, del  kvstore.Code
	}{
		{"created meanwhile", false, "put", kvstore.Condition{Kind: kvstore.IfAbsent}, kvstore.ConditionFailed, kvstore.ConditionFailed},
		{"created meanwhile, as wanted", false, "put", kvstore.Condition{Kind: kvstore.IfPresent}, kvstore.Replaced, kvstore.Deleted},
		{"replaced meanwhile", true, "put", kvstore.Condition{Kind: kvstore.IfRevision, Revision: 1}, kvstore.ConditionFailed, kvstore.ConditionFailed},
		{"replaced meanwhile, as wanted", true, "put", kvstore.Condition{Kind: kvstore.IfRevision, Revision: 2}, kvstore.Replaced, kvstore.Deleted},
		{"deleted meanwhile", true, "delete", kvstore.Condition{Kind: kvstore.IfPresent}, kvstore.ConditionFailed, kvstore.ConditionFailed},
		{"deleted meanwhile, as wanted", true, "delete", kvstore.Condition{Kind: kvstore.IfAbsent}, kvstore.Created, kvstore.NotFound},
	} {
		for _, write := range []string{"put", "delete"} {
			m := kvstore.NewMachine()
			log := &crowdedLog{soloLog: soloLog{machine: m}}
			db := kvstore.NewDB(m, log)
			do := func(what string, c kvstore.Condition) kvstore.Result {
				t.Helper()
				var r kvstore.Result
				var err error
				if what == "put" {
					r, err = db.Put(t.Context(), key, nil, kvstore.PutOptions{Condition: c})
				} else {
					r, err = db.Delete(t.Context(), key, kvstore.DeleteOptions{Condition: c})
				}
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if tt.first {
				do("put", kvstore.Condition{})
			}
			log.before = func() { do(tt.meanwhile, kvstore.Condition{}) }
			want := map[string]kvstore.Code{"put": tt.put, "delete": tt.del}[write]
			if r := do(write, tt.c); r.Code != want {
				t.Errorf("%s: %s: %v, want %v", tt.name, write, r.Code, want)
			}
		}
	}
}
