package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
)

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.wantProblem(404, "not_found", "", "GET", "/v1/verify", "")
		f.admin.set(func(a *fakeAdmin) {
			a.verified = &Verification{Index: 40, At: time.Now(), Hashes: map[uint64]uint64{1: 0xabc, 2: 0xabc}, Missing: []uint64{3}}
		})
		time.Sleep(90*time.Second + time.Microsecond)
		const same = `{"index":40,"checked":"1m30s","hashes":{"1":"0000000000000abc","2":"0000000000000abc"},"missing":[3],"diverged":[]}` + "\n"
		f.want(200, same, "GET", "/v1/verify", "")
		f.want(200, same, "POST", "/v1/verify?timeout=1s", "")
		if got := f.admin.done(); !slices.Equal(got, []string{"verify"}) {
			t.Errorf("asked for %q", got)
		}

		f.admin.set(func(a *fakeAdmin) {
			a.verified = &Verification{Index: 41, At: time.Now(), Hashes: map[uint64]uint64{1: 1, 2: 1, 3: 2}, Diverged: []uint64{3}}
		})
		for _, method := range []string{"GET", "POST"} {
			body := readAll(t, f.do(method, "/v1/verify", ""))
			before, after, _ := strings.Cut(body, `"request_id":"`)
			if want := `{"type":"/problems/diverged","title":"State has diverged","status":409,"code":"diverged","detail":"members whose state is not the others': 3",`; before != want {
				t.Errorf("%s: got  %s\nwant %s", method, before, want)
			}
			if want := `"index":41,"checked":"0s","hashes":{"1":"0000000000000001","2":"0000000000000001","3":"0000000000000002"},"missing":[],"diverged":[3]}` + "\n"; !strings.HasSuffix(after, want) {
				t.Errorf("%s: got  %s\nwant %s", method, after, want)
			}
		}
		f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/verify", "", "Idempotency-Key: 1")
		f.wantProblem(400, "bad_parameter", "", "GET", "/v1/verify?timeout=1s", "")
		for _, err := range []error{kvstore.ErrNoLeader, kvstore.ErrOutcomeUnknown, errTimeUp} {
			f.admin.set(func(a *fakeAdmin) { a.err = fmt.Errorf("verify: %w", err) })
			f.wantProblem(503, "no_leader", notApplied, "POST", "/v1/verify", "")
		}
	})
}
