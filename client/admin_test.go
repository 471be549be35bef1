package client

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// What is sent again when the answer to it was lost, and when a member that
// serves no keys refused it.
func TestAdminAttempts(t *testing.T) {
	const member, plan = `{"id":3}`, `{"voters_before":[1]}`
	for _, tt := range []struct {
		name  string
		body  string // of a good answer
		hosts string // that are asked when the first answer is lost
		call  func(ctx context.Context, c *Client) error
	}{
		{"promote", member, "a", func(ctx context.Context, c *Client) error { _, err := c.PromoteMember(ctx, 3); return err }},
		{"update", member, "a", func(ctx context.Context, c *Client) error {
			_, err := c.UpdateMember(ctx, 3, MemberUpdate{Name: new("x")})
			return err
		}},
		{"replace", member, "a", func(ctx context.Context, c *Client) error {
			_, _, err := c.ReplaceMember(ctx, 3, NewMember{PeerURL: "http://d"})
			return err
		}},
		{"plan to add", plan, "ab", func(ctx context.Context, c *Client) error { _, err := c.PlanAdd(ctx, NewMember{}); return err }},
		{"plan to remove", plan, "ab", func(ctx context.Context, c *Client) error { _, err := c.PlanRemove(ctx, 3, false); return err }},
		{"plan to promote", plan, "ab", func(ctx context.Context, c *Client) error { _, err := c.PlanPromote(ctx, 3); return err }},
		{"plan to update", plan, "ab", func(ctx context.Context, c *Client) error {
			_, err := c.PlanUpdate(ctx, 3, MemberUpdate{})
			return err
		}},
		{"plan to replace", plan, "ab", func(ctx context.Context, c *Client) error {
			_, err := c.PlanReplace(ctx, 3, NewMember{})
			return err
		}},
		{"leader", `{"id":2}`, "ab", func(ctx context.Context, c *Client) error { _, err := c.Leader(ctx); return err }},
		{"transfer", `{"id":2}`, "ab", func(ctx context.Context, c *Client) error { _, err := c.TransferLeadership(ctx, 2); return err }},
		{"transfer to anyone", `{"id":2}`, "a", func(ctx context.Context, c *Client) error { _, err := c.TransferLeadership(ctx, 0); return err }},
		{"snapshot", `{"index":2}`, "ab", func(ctx context.Context, c *Client) error { _, err := c.TakeSnapshot(ctx, ""); return err }},
		{"snapshot of one", `{"index":2}`, "c", func(ctx context.Context, c *Client) error { _, err := c.TakeSnapshot(ctx, "http://c"); return err }},
		{"verify", `{"index":2}`, "ab", func(ctx context.Context, c *Client) error { _, err := c.Verify(ctx); return err }},
		{"last verification", `{"index":2}`, "ab", func(ctx context.Context, c *Client) error { _, err := c.LastVerification(ctx, ""); return err }},
		{"last verification of one", `{"index":2}`, "b", func(ctx context.Context, c *Client) error {
			_, err := c.LastVerification(ctx, "http://b")
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ok := reply{status: 200, body: tt.body}
				c, s := newScript(t, Config{}, lost, ok)
				err := tt.call(t.Context(), c)
				if s.hosts() != tt.hosts || (err == nil) != (len(tt.hosts) == 2) {
					t.Errorf("lost: asked %s, want %s: %v", s.hosts(), tt.hosts, err)
				}
				c, s = newScript(t, Config{}, problemReply(503, "diverged", NotApplied).after(1), ok)
				err = tt.call(t.Context(), c)
				if one := tt.hosts == "b" || tt.hosts == "c"; !one && (s.hosts() != "ab" || err != nil) || one && !errors.Is(err, ErrDiverged) {
					t.Errorf("diverged: asked %s: %v", s.hosts(), err)
				}
			})
		})
	}
	c, s := newScript(t, Config{}, reply{status: 200})
	for _, err := range []error{
		errOf(c.TakeSnapshot(t.Context(), "http://d")), errOf(c.LatestSnapshot(t.Context(), "http://d")), errOf(c.LastVerification(t.Context(), "http://d")),
	} {
		if err == nil || len(s.sent) > 0 {
			t.Errorf("a stranger was asked: %v", err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// States that differ are an error that tells all that was found.
func TestVerifyDiverged(t *testing.T) {
	r := problemReply(409, "diverged", "")
	r.body = r.body[:len(r.body)-1] + `,"index":41,"checked":"2s","hashes":{"1":"000000000000000a","3":"000000000000000b"},"missing":[2],"diverged":[3]}`
	c, _ := newScript(t, Config{}, r)
	want := &Verification{41, 2 * time.Second, map[uint64]string{1: "000000000000000a", 3: "000000000000000b"}, []uint64{2}, []uint64{3}}
	for name, err := range map[string]error{"now": errOf(c.Verify(t.Context())), "last": errOf(c.LastVerification(t.Context(), ""))} {
		e, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, ErrDiverged) || !reflect.DeepEqual(e.Verification, want) || e.Outcome != "" {
			t.Errorf("%s: got %+v", name, err)
		}
	}
	c, _ = newScript(t, Config{}, problemReply(404, "not_found", ""))
	if _, err := c.LastVerification(t.Context(), "http://a"); !errors.Is(err, ErrNotFound) || err.(*Error).Verification != nil {
		t.Errorf("got %v", err)
	}
}

// A refusal is an error like the one that it stands for.
func TestRefusal(t *testing.T) {
	err := error(&Refusal{"would_lose_quorum", "of 3 voters, 1 answers"})
	if !errors.Is(err, ErrWouldLoseQuorum) || errors.Is(err, ErrMemberExists) || errors.Is(&Refusal{Code: "new"}, ErrNotFound) {
		t.Error("it is another one")
	}
	if !errors.Is(&Refusal{Code: "bad_parameter"}, ErrBadRequest) || errors.Is(err, ErrBadRequest) {
		t.Error("a bad request is not known as one")
	}
	if got := err.Error(); got != "kvd: would_lose_quorum: of 3 voters, 1 answers" {
		t.Errorf("got %q", got)
	}
}

// What takes long may take as long as a whole call.
func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{Timeout: 20 * time.Second}, silence)
		start := time.Now()
		_, err := c.Verify(t.Context())
		if took := time.Since(start); took != 20*time.Second || len(s.sent) != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d attempts in %v: %v", len(s.sent), took, err)
		}
	})
}
