package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Answer is what a member said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Want returns an error unless the answer has one of these status codes.
func (r *Answer) Want(status ...int) error {
	if slices.Contains(status, r.Status) {
		return nil
	}
	return fmt.Errorf("got %d %s, want %v", r.Status, strings.TrimSpace(string(r.Body)), status)
}

// send sends one request and reads the whole answer.
func (c *Cluster) send(ctx context.Context, method, url string, body []byte) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &Answer{resp.StatusCode, resp.Header, b}, err
}

// Status is the part of GET /v1/status that the run looks at.
type Status struct {
	ID        uint64   `json:"id"`
	Role      string   `json:"role"`
	Term      uint64   `json:"term"`
	Leader    uint64   `json:"leader"`
	Commit    uint64   `json:"commit"`
	Applied   uint64   `json:"applied"`
	Snapshot  uint64   `json:"snapshot_index"`
	Revision  uint64   `json:"revision"`
	Voters    []uint64 `json:"voters"`
	Learners  []uint64 `json:"learners"`
	Compacted uint64   `json:"compacted_revision"`
}

// Status asks the member how it sees itself. It needs no quorum.
func (m *Member) Status(ctx context.Context) (Status, error) {
	var s Status
	r, err := m.call(ctx, time.Second, http.MethodGet, "/v1/status", nil)
	if err != nil {
		return s, err
	}
	if err := r.Want(http.StatusOK); err != nil {
		return s, err
	}
	return s, json.Unmarshal(r.Body, &s)
}

// Leader is the member that the members which answer agree to lead.
func (c *Cluster) Leader(ctx context.Context) (*Member, error) {
	var leader *Member
	var last error
	term := uint64(0)
	for _, m := range c.Members() {
		if !m.Up() {
			continue
		}
		s, err := m.Status(ctx)
		if err != nil {
			last = err
			continue
		}
		if s.Role == "leader" && s.Term >= term {
			leader, term = m, s.Term
		}
	}
	if leader == nil {
		return nil, errors.Join(errors.New("nobody leads"), last)
	}
	return leader, nil
}

// Ask sends a request to one member after the other until one gives an answer
// with a wanted status. A change of members may need that: whoever is asked may
// be the one that is hurt.
func (c *Cluster) Ask(ctx context.Context, limit time.Duration, method, path, body string, want ...int) (*Answer, error) {
	var r *Answer
	n := 0
	err := Poll(ctx, limit, func() (err error) {
		up := slices.DeleteFunc(c.Members(), func(m *Member) bool { return !m.Up() })
		if len(up) == 0 {
			return errors.New("no member runs")
		}
		n++
		r, err = up[n%len(up)].call(ctx, 5*time.Second, method, path, []byte(body))
		if err != nil {
			return err
		}
		if err := r.Want(want...); err != nil {
			// Not as a rule worth asking again at once.
			Pause(ctx, 100*time.Millisecond)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return r, nil
}

// Verification is the answer of POST /v1/verify.
type Verification struct {
	Index    uint64            `json:"index"`
	Hashes   map[string]string `json:"hashes"` // by member
	Missing  []uint64          `json:"missing"`
	Diverged []uint64          `json:"diverged"`
}

// Verify compares the states of all members.
func (c *Cluster) Verify(ctx context.Context) (Verification, error) {
	var v Verification
	r, err := c.Ask(ctx, 30*time.Second, http.MethodPost, "/v1/verify", "", http.StatusOK, http.StatusConflict)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(r.Body, &v); err != nil || v.Index == 0 {
		return v, fmt.Errorf("verify: %d %s: %w", r.Status, r.Body, err)
	}
	return v, nil
}
