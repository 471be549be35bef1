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
	{
		Name:   "election-forgets-lease",
		Breaks: "a voter that has just started stands for election early also where a leader serves reads on a lease, to which the voter had agreed in its life before",
		Edits: []Edit{{"internal/raftnode/loop.go",
			"\tif l.n.cfg.ReadOnlyLeaseBased {\n\t\treturn\n\t}\n\tfor range", "\tfor range"}},
		Checks: []Check{scripted("TestRestartedClusterElectsSoon")},
	},
	{
		Name:   "moved-member-not-looked-for",
		Breaks: "a member that was away while the leader moved answers to the old address, as long as that one leads",
		Edits: []Edit{{"internal/transport/peer.go",
			"\t\t\tp.t.learn(p.id) // it may have moved\n", ""}},
		Checks: []Check{unit("transport", "TestMovedLeader")},
	},
	{
		Name:   "wrong-address-stays",
		Breaks: "where another member says that one is, it is looked for from then on, although it is not there, and no longer where the log has it",
		Edits: []Edit{{"internal/transport/learn.go",
			"\t\t\tdelete(t.learned, id) // nor is it", "\t\t\t_ = id // nor is it"}},
		Checks: []Check{unit("transport", "TestToldWrong")},
	},
}
