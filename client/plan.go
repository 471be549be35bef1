package client

import "context"

// Plan is what a change of the membership would do. Tolerated is how many of the
// voters that answer may fail with the quorum kept.
type Plan struct {
	VotersBefore    []uint64 `json:"voters_before"`
	VotersAfter     []uint64 `json:"voters_after"`
	QuorumBefore    int      `json:"quorum_before"`
	QuorumAfter     int      `json:"quorum_after"`
	ToleratedBefore int      `json:"tolerated_before"`
	ToleratedAfter  int      `json:"tolerated_after"`

	// Refused is why the change would be refused; nil: it would be made.
	Refused *Refusal `json:"refused"`
}

// Refusal is why a change would be refused. It works with errors.Is and the
// sentinels of this package, such as ErrWouldLoseQuorum.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"` // for people
}

func (r *Refusal) Error() string { return "kvd: " + r.Code + ": " + r.Detail }

// Is matches the sentinel of Code, as that of an Error does.
func (r *Refusal) Is(target error) bool {
	if target == ErrBadRequest {
		return r.Code == "bad_parameter" // a URL that is none, or a member that has no vote
	}
	sentinel, ok := codes[r.Code]
	return ok && sentinel == target
}

// PlanAdd tells what AddMember would do, and changes nothing.
func (c *Client) PlanAdd(ctx context.Context, m NewMember) (*Plan, error) {
	q, err := addition(m)
	return c.plan(ctx, q, err)
}

// PlanRemove tells what RemoveMember would do, and changes nothing.
func (c *Client) PlanRemove(ctx context.Context, id uint64, force bool) (*Plan, error) {
	return c.plan(ctx, removal(id, force), nil)
}

// PlanPromote tells what PromoteMember would do, and changes nothing.
func (c *Client) PlanPromote(ctx context.Context, id uint64) (*Plan, error) {
	return c.plan(ctx, promotion(id), nil)
}

// PlanUpdate tells what UpdateMember would do, and changes nothing.
func (c *Client) PlanUpdate(ctx context.Context, id uint64, u MemberUpdate) (*Plan, error) {
	q, err := update(id, u)
	return c.plan(ctx, q, err)
}

// PlanReplace tells what ReplaceMember would do, and changes nothing.
func (c *Client) PlanReplace(ctx context.Context, remove uint64, add NewMember) (*Plan, error) {
	q, err := replacement(remove, add)
	return c.plan(ctx, q, err)
}

// plan turns a change into the question what it would do: a reading, which may
// be sent again at any time.
func (c *Client) plan(ctx context.Context, q *call, err error) (*Plan, error) {
	if err != nil {
		return nil, err
	}
	q.kind = reading
	q.param("dry_run", "true")
	var p Plan
	if _, err := c.doJSON(ctx, q, &p); err != nil {
		return nil, err
	}
	return &p, nil
}
