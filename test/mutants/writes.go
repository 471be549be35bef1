package main

// writes is about the outcome of writes.
var writes = []Mutant{
	{
		Name:   "no-idempotency-check",
		Breaks: "a write that is made again under its idempotency key is applied again",
		Edits: []Edit{{"internal/kvstore/request.go",
			"\tif it := s.requests.find(cmd.key); it != nil {\n\t\tx := recordOf(it)\n\t\tif x.sum",
			"\tif it := s.requests.find(cmd.key); it != nil && cmd.size < 0 {\n\t\tx := recordOf(it)\n\t\tif x.sum"}},
		Checks: []Check{unit("kvstore", "TestRequests"), binary("TestIncrements"),
			chaos("-duration=45s", "-kinds=isolate the leader,connection resets,kill -9 of the leader")},
	},
	{
		Name:   "condition-before-proposal",
		Breaks: "a condition is judged by the state of the member that is asked, before the proposal: two writers both win",
		Edits: []Edit{{"internal/kvstore/db.go",
			"\treturn db.propose(ctx, encodeWrite(commandPut, key, value, o), o.IdempotencyKey)",
			"\tit, revision := db.machine.read(key)\n\tif !o.Condition.holds(it) {\n\t\treturn (&state{revision: revision}).unchanged(ConditionFailed, it), nil\n\t}\n\to.Condition = Condition{}\n" +
				"\treturn db.propose(ctx, encodeWrite(commandPut, key, value, o), o.IdempotencyKey)"}},
		Checks: []Check{unit("kvstore", "TestConditionIsJudgedByTheLog"), simulation()},
	},
	{
		Name:   "retry-of-unknown",
		Breaks: "commands whose answer from the leader was lost are sent once more, although they may have been applied",
		Edits: []Edit{{"internal/raftnode/forward.go",
			"\tif !sent {\n\t\treturn props\n", "\tif !sent || err != nil {\n\t\treturn props\n"}},
		Checks: []Check{unit("raftnode", "TestForwardedOutcomes"), simulation()},
	},
	{
		Name:   "unknown-told-as-lost",
		Breaks: "a write that is under way when its caller's time is up is told as surely not applied",
		Edits: []Edit{{"internal/raftnode/node.go",
			"\t\treturn none, ErrOutcomeUnknown\n", "\t\treturn none, ErrNoLeader\n"}},
		Checks: []Check{scripted("TestDeposedLeader"), simulation()},
	},
	{
		Name:   "snapshot-hides-outcome",
		Breaks: "a write that lies below an installed snapshot, and may be in it, is told as surely not applied",
		Edits: []Edit{{"internal/raftnode/applier.go",
			"\t\tf.fail(ErrOutcomeUnknown)\n\t}\n\ta.n.applied.advance", "\t\tf.fail(ErrNoLeader)\n\t}\n\ta.n.applied.advance"}},
		Checks: []Check{unit("raftnode", "TestOutcomeBelowASnapshot"), simulation()},
	},
	{
		Name:   "results-to-wrong-waiter",
		Breaks: "the results of an entry of many commands are handed out in the wrong order",
		Edits: []Edit{{"internal/raftnode/applier.go",
			"p.finish(results[i], nil)", "p.finish(results[len(results)-1-i], nil)"}},
		Checks: []Check{unit("raftnode", "TestResultsOfABatch"), simulation()},
	},
	{
		Name:   "gathering-feeds-itself",
		Breaks: "the more commands a batch waits for, the more come meanwhile, and the next waits for those too",
		Edits: []Edit{{"internal/raftnode/gather.go",
			"\tg.clients = min(g.clients, g.most)\n", ""}},
		Checks: []Check{unit("raftnode", "TestGathering")},
	},
	{
		Name:   "one-alone-waits-for-the-tick",
		Breaks: "who comes alone after many at once is not noticed when the wait for the others is over, but at the next tick",
		Edits: []Edit{{"internal/raftnode/propose.go",
			"\tif more > 1 {\n\t\tl.gatherUntil(wait)\n\t}\n", "\t_ = wait\n"}},
		Checks: []Check{unit("raftnode", "TestGatheringEndsForOneAlone")},
	},
	{
		Name:   "commands-not-noticed",
		Breaks: "commands that came just before the loop said for how many it wants to be woken wait for its next tick",
		Edits: []Edit{{"internal/raftnode/inbox.go",
			"\tif wanted {\n\t\tb.signal()\n\t}\n}\n\n// propose", "\t_ = wanted\n}\n\n// propose"}},
		Checks: []Check{unit("raftnode", "TestInboxWakes")},
	},
	{
		Name:   "commit-index-held-at-the-end",
		Breaks: "a leader that ends keeps the commit index that the next batch would have told, and makes no batch: the others do not learn of it from this one",
		Edits: []Edit{{"internal/raftnode/propose.go",
			" || l.failure != nil {\n\t\treturn 0", " {\n\t\treturn 0"}},
		Checks: []Check{unit("raftnode", "TestCommitIndexWaitsForTheNextBatch")},
	},
}
