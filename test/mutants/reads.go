package main

// reads is about linearizable reads.
var reads = []Mutant{
	{
		Name:   "leader-reads-locally",
		Breaks: "a member that believes to lead serves reads from its own state and asks nobody: one that was deposed serves stale ones",
		Edits: []Edit{{"internal/raftnode/loop.go",
			"\tl.rn.ReadIndex(l.reads.begin())\n",
			"\tround := l.reads.begin()\n\tif l.leading() {\n\t\tl.n.applied.await(l.n.commit.Load(), l.reads.round)\n\t\tl.reads.round = nil\n\t\treturn\n\t}\n\tl.rn.ReadIndex(round)\n"}},
		Checks: []Check{scripted("TestDeposedLeader TestReadsAfterLateConfirmations"), simulation(),
			chaos("-duration=90s", "-kinds=isolate the leader,one-way cut,partial cut,SIGSTOP")},
	},
	{
		Name:   "all-read-locally",
		Breaks: "every member serves reads from its own state and asks nobody",
		Edits: []Edit{{"internal/raftnode/loop.go",
			"\tl.rn.ReadIndex(l.reads.begin())\n",
			"\tl.reads.begin()\n\tl.n.applied.await(l.n.commit.Load(), l.reads.round)\n\tl.reads.round = nil\n"}},
		Checks: []Check{scripted("TestReadsAfterLateConfirmations"), simulation(), chaos("-duration=45s")},
	},
	{
		Name:   "read-context-twice",
		Breaks: "a second attempt of a read has the context of the first, whose late answer serves it (etcd issue 20418)",
		Edits: []Edit{{"internal/raftnode/reads.go",
			"\tr.id.Counter++\n", ""}},
		Checks: []Check{unit("raftnode", "TestReadRounds"), scripted("TestReadsAfterLateConfirmations"), simulation()},
	},
	{
		Name:   "peer-joins-round-under-way",
		Breaks: "a follower's reads are answered from a round of the leader's that began before them, with an index that may be older than what its clients have been told",
		Edits: []Edit{{"internal/raftnode/reads.go",
			"\tr.openPeers = append(r.openPeers, m)\n",
			"\tif r.served() {\n\t\tr.ofPeers = append(r.ofPeers, m)\n\t} else {\n\t\tr.openPeers = append(r.openPeers, m)\n\t}\n"}},
		Checks: []Check{unit("raftnode", "TestPeersJoinRounds"), simulation()},
	},
	{
		Name:   "read-before-applied",
		Breaks: "a read is served as soon as its index is confirmed, although the member has not applied so far",
		Edits: []Edit{{"internal/raftnode/reads.go",
			"\tif a.index.Load() < index {", "\tif a.index.Load() < min(index, 1) {"}},
		Checks: []Check{unit("raftnode", "TestReadersWaitUntilApplied"), simulation()},
	},
	{
		Name:   "read-too-early",
		Breaks: "the only voter answers reads before it has committed an entry of its term, and misses what it had acknowledged in its life before",
		Edits: []Edit{{"internal/raftnode/loop.go",
			"{ return l.singleVoter && !l.termCommitted }", "{ return false }"}},
		Checks: []Check{scripted("TestSingleVoterReadsAfterCrash"), simulation()},
	},
}
