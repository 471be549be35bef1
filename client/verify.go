package client

import (
	"context"
	"net/http"
	"time"
)

const verifyPath = "/v1/verify"

// Verification is what a comparison of the members' states has shown.
type Verification struct {
	Index    uint64            // of the log, at which they were compared
	Age      time.Duration     // how long ago, when it was told
	Hashes   map[uint64]string // of the states, by member: 16 hexadecimal digits
	Missing  []uint64          // members that told none
	Diverged []uint64          // members whose state is not the others'
}

// verificationJSON is a verification in an answer, or in a problem.
type verificationJSON struct {
	Index    uint64            `json:"index"`
	Checked  duration          `json:"checked"`
	Hashes   map[uint64]string `json:"hashes"`
	Missing  []uint64          `json:"missing"`
	Diverged []uint64          `json:"diverged"`
}

func (j *verificationJSON) verification() *Verification {
	return &Verification{j.Index, time.Duration(j.Checked), j.Hashes, j.Missing, j.Diverged}
}

// Verify compares the states of the members now, which takes as long as the
// slowest of them needs to read its own. ErrDiverged: there are members whose
// state is not the others'; the error's Verification tells which.
func (c *Client) Verify(ctx context.Context) (*Verification, error) {
	q := newCall(reading, http.MethodPost, verifyPath)
	q.timed, q.slow = true, true
	return c.verification(ctx, q)
}

// LastVerification asks the member at endpoint, one of Config.Endpoints, once
// for the last comparison that it knows of; "" asks whichever answers. Members
// compare all the time. ErrNotFound: it knows of none yet. ErrDiverged is as with
// Verify.
func (c *Client) LastVerification(ctx context.Context, endpoint string) (*Verification, error) {
	q, err := c.callAt(verifyPath, endpoint)
	if err != nil {
		return nil, err
	}
	return c.verification(ctx, q)
}

func (c *Client) verification(ctx context.Context, q *call) (*Verification, error) {
	var j verificationJSON
	if _, err := c.doJSON(ctx, q, &j); err != nil {
		return nil, err
	}
	return j.verification(), nil
}
