package main

// members is about membership.
var members = []Mutant{
	{
		Name:   "tombstones-not-in-snapshots",
		Breaks: "snapshots forget which ids were removed: a removed member that comes back is taken for one",
		Edits: []Edit{{"internal/raftnode/membership.go",
			"`json:\"removed,omitempty\"`", "`json:\"-\"`"}},
		Checks: []Check{scripted("TestTombstonesOutliveTheLog")},
	},
	{
		Name:   "lagging-learner-promoted",
		Breaks: "a learner becomes a voter although it does not have the log yet, and counts for a quorum to which it adds nothing",
		Edits: []Edit{{"internal/raftnode/promote.go",
			"return pr.State == tracker.StateReplicate && pr.Match >= commit && l.answering([]uint64{id}, now) > 0",
			"return pr.State != tracker.StateSnapshot && l.answering([]uint64{id}, now) > 0"}},
		Checks: []Check{scripted("TestPromotionWaitsForTheLog")},
	},
	{
		Name:   "removal-without-quorum",
		Breaks: "a voter that answers can be removed although no majority of those left answers: nothing can be decided after that",
		Edits: []Edit{{"internal/raftnode/judge.go",
			"{ return len(ids)/2 + 1 }", "{ return min(len(ids), 1) }"}},
		Checks: []Check{unit("raftnode", "TestQuorumJudgement"), scripted("TestRemovalThatLosesQuorum")},
	},
}
