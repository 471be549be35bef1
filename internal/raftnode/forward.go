package raftnode

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Requests between members, from one that does not lead to one that does. The
// first byte says what follows.
const (
	forwardCommands = 1 // count and commands; answered by an outcome and a result each
	forwardChange   = 2 // Change as JSON; answered by changeReply as JSON
	forwardPublish  = 3 // Member as JSON; answered by remoteError as JSON

	forwardTransfer = 4 // transferRequest as JSON; answered by remoteError as JSON
	forwardPlan     = 5 // Change as JSON; answered by planReply as JSON
	forwardReport   = 6 // hashReport as JSON; an empty answer
	forwardReseed   = 7 // reseedRequest as JSON; an empty answer once it is proposed
	forwardHealth   = 8 // a byte of healthShort and healthStalled; see health.go
	forwardVerify   = 9 // nothing; answered by the index of a check (8 bytes, big endian)
)

// Outcomes of forwarded commands.
const (
	outcomeApplied    = 0 // a result follows
	outcomeNotLeader  = 1 // surely not applied; may be tried elsewhere
	outcomeUnknown    = 2
	outcomeOverloaded = 3 // surely not applied
)

// maxReplyBytes bounds the answer to one request, which has to fit into a frame of
// the transport. What does not is told as unknown, so that the others are told.
const maxReplyBytes = 48 << 20

var errBadRequest = errors.New("malformed request from a member")

// HandleForward serves a request of a member that believes this one leads.
func (n *Node[R]) HandleForward(ctx context.Context, from uint64, req []byte) ([]byte, error) {
	if len(req) == 0 {
		return nil, errBadRequest
	}
	kind, body := req[0], req[1:]
	switch kind {
	case forwardCommands:
		return n.serveCommands(ctx, body)
	case forwardChange:
		var c Change
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		mb, err := n.changeAsLeader(ctx, c)
		return json.Marshal(changeReply{mb, newRemoteError(err)})
	case forwardPublish:
		var mb Member
		if err := json.Unmarshal(body, &mb); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		if mb.ID != from {
			return nil, fmt.Errorf("%w: member %d publishes for %d", errBadRequest, from, mb.ID)
		}
		return json.Marshal(newRemoteError(n.publishAsLeader(ctx, mb)))
	case forwardHealth:
		return n.serveHealth(from, body)
	case forwardTransfer:
		var r transferRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		return json.Marshal(newRemoteError(n.transferAsLeader(ctx, r.To)))
	case forwardPlan:
		var c Change
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		p, err := n.planAsLeader(ctx, c)
		return json.Marshal(planReply{p, newRemoteError(p.Refusal), newRemoteError(err)})
	case forwardReport:
		var r hashReport
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		return nil, n.takeReport(from, r)
	case forwardReseed:
		var r reseedRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		return nil, n.reseedAsLeader(ctx, from, r)
	case forwardVerify:
		index, err := n.checkAsLeader(ctx)
		return binary.BigEndian.AppendUint64(nil, index), err
	}
	return nil, fmt.Errorf("%w: kind %d", errBadRequest, kind)
}

// serveCommands proposes another member's commands and answers when all have
// an outcome.
func (n *Node[R]) serveCommands(ctx context.Context, body []byte) ([]byte, error) {
	cmds, err := decodeCommands(nil, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	if n.Diverged() != nil {
		// What it would answer might be wrong. It is about to hand leadership over.
		return bytes.Repeat([]byte{outcomeNotLeader}, len(cmds)), nil
	}
	count, size := n.waitingCount.Add(int64(len(cmds))), n.waitingBytes.Add(int64(len(body)))
	defer func() {
		n.waitingCount.Add(int64(-len(cmds)))
		n.waitingBytes.Add(int64(-len(body)))
	}()
	group := &proposalGroup{done: make(chan struct{})}
	group.left.Store(int64(len(cmds)))
	props := make([]*proposal[R], len(cmds))
	for i, cmd := range cmds {
		props[i] = &proposal[R]{cmd: cmd, hop: true, group: group}
	}
	if count > int64(n.cfg.MaxWaiting) || size > int64(n.cfg.MaxWaitingBytes) {
		for _, p := range props {
			p.fail(ErrOverloaded)
		}
	} else if !n.inbox.propose(props...) {
		return nil, ErrStopped
	} else if !n.Leads() {
		n.inbox.signal() // to be refused
	}
	select {
	case <-group.done:
	case <-ctx.Done():
		for _, p := range props {
			p.withdraw() // whoever asked knows nothing any more; at least do less
		}
		return nil, context.Cause(ctx)
	}
	reply := make([]byte, 0, 32*len(props))
	var scratch []byte
	for _, p := range props {
		switch {
		case p.err == nil:
			scratch = n.sm.AppendResult(scratch[:0], p.res)
			if len(reply)+len(scratch) > maxReplyBytes {
				reply = append(reply, outcomeUnknown)
				continue
			}
			reply = append(reply, outcomeApplied)
			reply = append(binary.AppendUvarint(reply, uint64(len(scratch))), scratch...)
		case errors.Is(p.err, errNotLeader), errors.Is(p.err, ErrNoLeader), errors.Is(p.err, ErrStopped):
			reply = append(reply, outcomeNotLeader)
		case errors.Is(p.err, ErrOverloaded):
			reply = append(reply, outcomeOverloaded)
		default:
			reply = append(reply, outcomeUnknown)
		}
	}
	return reply, nil
}

// resolveForward gives each forwarded command its outcome, and returns those
// that surely were not applied and may be sent again.
func (n *Node[R]) resolveForward(props []*proposal[R], reply []byte, sent bool, err error) (again []*proposal[R]) {
	if !sent {
		return props
	}
	if err != nil {
		reply = nil // cut or refused on the way: every outcome is unknown
	}
	for _, p := range props {
		if len(reply) == 0 {
			p.fail(ErrOutcomeUnknown)
			continue
		}
		outcome := reply[0]
		reply = reply[1:]
		switch outcome {
		case outcomeApplied:
			size, k := binary.Uvarint(reply)
			if k <= 0 || size > uint64(len(reply)-k) {
				reply = nil
				p.fail(ErrOutcomeUnknown)
				continue
			}
			res, err := n.sm.DecodeResult(reply[k : k+int(size)])
			reply = reply[k+int(size):]
			if err != nil {
				p.fail(fmt.Errorf("%w: applied, but its result cannot be read: %w", ErrOutcomeUnknown, err))
				continue
			}
			p.finish(res, nil)
		case outcomeNotLeader:
			again = append(again, p)
		case outcomeOverloaded:
			p.fail(ErrOverloaded)
		default:
			p.fail(ErrOutcomeUnknown)
		}
	}
	return again
}
