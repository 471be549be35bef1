package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// errTimeUp is what is left of a request whose time is up.
var errTimeUp = context.DeadlineExceeded

func TestLeader(t *testing.T) {
	f := newFixture(t)
	f.wantProblem(503, "no_leader", "", "GET", "/v1/leader", "")
	f.admin.set(func(a *fakeAdmin) { a.leader = Leader{ID: 2, Term: 7, ClientURL: "http://b:2"} })
	f.want(200, `{"id":2,"term":7,"client_url":"http://b:2"}`+"\n", "GET", "/v1/leader", "")
	f.want(200, "", "HEAD", "/v1/leader", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/leader?timeout=1s", "")

	f.want(200, `{"id":3,"term":8,"client_url":"http://b:2"}`+"\n", "POST", "/v1/leader?timeout=2s", `{"to":3}`)
	for _, body := range []string{"", "{}", `{"to":null}`} {
		f.want(200, `{"id":2,"term":8,"client_url":"http://b:2"}`+"\n", "POST", "/v1/leader", body)
	}
	if got := strings.Join(f.admin.done(), ";"); got != "transfer 3;transfer 0;transfer 0;transfer 0" {
		t.Errorf("asked for %s", got)
	}
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/leader", "", "Idempotency-Key: 1")
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/leader?dry_run=true", "")
}

func TestTransferErrors(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		err           error
		status        int
		code, outcome string
	}{
		{ErrNotVoter, 400, "bad_parameter", notApplied},
		{ErrNoSuchMember, 404, "not_found", notApplied},
		{kvstore.ErrStopping, 503, "stopping", notApplied},
		// It may be taken over yet.
		{kvstore.ErrNoLeader, 503, "no_leader", unknown},
		{kvstore.ErrOutcomeUnknown, 503, "no_leader", unknown},
		{errTimeUp, 503, "no_leader", unknown},
	} {
		f.admin.set(func(a *fakeAdmin) { a.err = fmt.Errorf("transfer to 3: %w", tt.err) })
		if doc := f.wantProblem(tt.status, tt.code, tt.outcome, "POST", "/v1/leader", `{"to":3}`); !strings.HasSuffix(doc.Detail, "transfer to 3: "+tt.err.Error()) {
			t.Errorf("%v: got detail %q", tt.err, doc.Detail)
		}
	}
}
