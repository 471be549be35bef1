package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Step takes messages from peers; the transport has checked them. It never
// blocks and may drop.
func (n *Node[R]) Step(msgs []*raftpb.Message) { n.inbox.putPeers(msgs) }

// ReportUnreachable says that messages to a peer were lost.
func (n *Node[R]) ReportUnreachable(id uint64) {
	n.do(func(l *loop[R]) { l.rn.ReportUnreachable(id) })
}

// ReportSnapshot says how the sending of a snapshot to a peer has ended.
func (n *Node[R]) ReportSnapshot(id uint64, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	n.do(func(l *loop[R]) { l.rn.ReportSnapshot(id, status) })
}

// IsRemoved reports whether id belonged to a member that was removed, and has
// had its moment to hear of it from the log.
func (n *Node[R]) IsRemoved(id uint64) bool {
	return n.members.Load().removed(id) && !n.peers.lingers(id)
}

// MarkRemoved tells that the cluster has removed this member: Run ends.
func (n *Node[R]) MarkRemoved() {
	n.do(func(l *loop[R]) { l.failure = ErrRemoved })
}

// OpenSnapshot returns the body of a snapshot to be sent to a peer. It waits for
// one that is being written for a member whose state differs.
func (n *Node[R]) OpenSnapshot(index uint64) (io.ReadCloser, int64, error) {
	if err := n.Diverged(); err != nil {
		return nil, 0, fmt.Errorf("snapshot %d is not to be trusted: %w", index, err)
	}
	n.seeds.await(index)
	return n.storage.OpenBody(index)
}

// ReceiveSnapshot stores the body of a snapshot and then steps the message
// that announced it: raft must never hear of a snapshot that is not on disk.
func (n *Node[R]) ReceiveSnapshot(ctx context.Context, msg *raftpb.Message, body io.Reader) error {
	index := msg.GetSnapshot().GetMetadata().GetIndex()
	if index <= n.applied.index.Load() {
		// Already here. raft answers the message with the index it has.
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
	} else if err := n.storeBody(index, body); err != nil {
		return err
	}
	if ctx.Err() != nil || !n.inbox.put(func(in *inputs[R]) { in.peers = append(in.peers, msg) }) {
		return errors.Join(ErrStopped, context.Cause(ctx))
	}
	return nil
}
