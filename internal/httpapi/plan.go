package httpapi

import (
	"context"
	"errors"
	"net/http"

	"kvd/internal/kvstore"
)

// planJSON is the answer to a change with dry_run.
type planJSON struct {
	VotersBefore    []uint64     `json:"voters_before"`
	VotersAfter     []uint64     `json:"voters_after"`
	QuorumBefore    int          `json:"quorum_before"`
	QuorumAfter     int          `json:"quorum_after"`
	ToleratedBefore int          `json:"tolerated_before"`
	ToleratedAfter  int          `json:"tolerated_after"`
	Refused         *refusalJSON `json:"refused"` // null: it would be made
}

// refusalJSON is why a change would be refused: in the words of the problem
// that it would be.
type refusalJSON struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// plan answers with what a change would do.
func (h *Handler) plan(ctx context.Context, w http.ResponseWriter, r *http.Request, c Change) (int, error) {
	plan, err := h.cfg.Membership.PlanChange(ctx, c)
	if err != nil {
		return 0, lateFault(err, "no leader judged the change in time")
	}
	j := planJSON{
		VotersBefore: listed(plan.VotersBefore), VotersAfter: listed(plan.VotersAfter),
		QuorumBefore: plan.QuorumBefore, QuorumAfter: plan.QuorumAfter,
		ToleratedBefore: plan.ToleratedBefore, ToleratedAfter: plan.ToleratedAfter,
	}
	if plan.Refusal != nil {
		j.Refused = &refusalJSON{problemOf(plan.Refusal).code, plan.Refusal.Error()}
	}
	writeJSON(w, r, http.StatusOK, jsonType, &j)
	return http.StatusOK, nil
}

// lateFault makes the errors of a question to the leader fit one that changes
// nothing: its outcome is known whatever happens.
func lateFault(err error, detail string) error {
	if outOfTime(err) || errors.Is(err, kvstore.ErrOutcomeUnknown) {
		return &fault{cause: kvstore.ErrNoLeader, detail: detail}
	}
	return err
}

// outOfTime tells whether err is the end of a request's context.
func outOfTime(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// listed makes no ids an empty list: readers of JSON should find lists, not
// nulls.
func listed(ids []uint64) []uint64 {
	if ids == nil {
		return []uint64{}
	}
	return ids
}
