package main

// state is about what the state machine does with an entry, about time, and about
// comparing what has come of it.
var state = []Mutant{
	{
		Name:   "clock-in-apply",
		Breaks: "the state goes by the clock of the member that applies: the same log leads to different states",
		Edits: []Edit{
			{"internal/kvstore/apply.go", "\ts.clock = max(s.clock, clock)\n\ts.forget", "\ts.clock = max(s.clock, time.Duration(time.Now().UnixNano()))\n\ts.forget"},
		},
		Checks: []Check{unit("kvstore", "TestGoldenLog TestMachineAgainstModel"), simulation()},
	},
	{
		Name:   "old-leader-expires",
		Breaks: "what is due is decided by the leader that asks and not where its command is applied: an old one ends what was kept alive meanwhile",
		Edits: []Edit{{"internal/kvstore/expire.go",
			"> s.clock || n >= expireMost {", "> s.clock && n > 0 || n >= expireMost {"}},
		Checks: []Check{unit("kvstore", "TestLeases TestTTL")},
	},
	{
		Name:   "clock-jumps-with-leader",
		Breaks: "a member that hears of a new leader keeps a reckoning of the log's clock that is ahead of it: when it leads itself, leases end early",
		Edits: []Edit{{"internal/raftnode/clock.go",
			"\tif by != c.owner || c.at.IsZero() {", "\tif c.at.IsZero() || by != c.owner && stamp > c.nowLocked() {"}},
		Checks: []Check{unit("raftnode", "TestLogClock"), scripted("TestClockOfLateLeader")},
	},
	{
		Name:   "reseed-sets-clock-back",
		Breaks: "a member that takes over the leader's state takes its clock too, which is as old as that took: when it leads itself, leases end late",
		Edits: []Edit{{"internal/raftnode/reseed.go",
			"\ta.adopt(h)\n", "\ta.adopt(h)\n\tn.clock.observe(h.Clock, entryID{})\n"}},
		Checks: []Check{scripted("TestClockAfterReseed"), simulation()},
	},
	{
		Name:   "lease-ends-while-kept",
		Breaks: "a renewal is confirmed and does not put the deadline off",
		Edits: []Edit{{"internal/kvstore/lease.go",
			"\tl.Deadline = after(s.clock, l.TTL)\n\ts.setLease(l)\n\treturn Result{Code: LeaseKept",
			"\treturn Result{Code: LeaseKept"}},
		Checks: []Check{unit("kvstore", "TestLeases"), binary("TestLeases")},
	},
	{
		Name:   "entry-applied-twice",
		Breaks: "entries that a restored snapshot holds already are applied once more",
		Edits: []Edit{
			{"internal/raftnode/applier.go", "\t\tif e.GetIndex() <= a.index {\n\t\t\tcontinue // before the snapshot that was restored\n\t\t}\n", ""},
			{"internal/kvstore/apply.go", "\tif index <= s.index {\n", "\tif index == 0 {\n"},
		},
		Checks: []Check{unit("kvstore", "TestApplyRefusesEntriesTwice"), simulation()},
	},
	{
		Name:   "no-hash-condemns",
		Breaks: "where no voter's hash was heard, the right one is 0, which no member has: all are found to hold a wrong state",
		Edits: []Edit{{"internal/raftnode/verifyround.go",
			"\tfor _, hash := range v.Hashes {\n\t\tif hash == v.Hash {\n\t\t\treturn true\n\t\t}\n\t}\n\treturn false\n",
			"\treturn len(v.Hashes) > 0\n"}},
		Checks: []Check{unit("raftnode", "TestVerdict TestJudge")},
	},
	{
		Name:   "minority-condemns",
		Breaks: "the first voter that is heard decides which state is right, though most have not been heard",
		Edits: []Edit{{"internal/raftnode/verifyround.go",
			"\tif 2*heard <= voters {\n\t\treturn v\n\t}\n", "\t_, _ = heard, voters\n"}},
		Checks: []Check{unit("raftnode", "TestVerdict")},
	},
	{
		Name:   "new-leader-judges-early",
		Breaks: "a new leader ends an old round before the others can have told it their hashes: they are compared with its own alone",
		Edits: []Edit{{"internal/raftnode/verifyround.go",
			"\tcase now.Sub(v.lead.since) < n.electionTimeout():\n\t\treturn verdict{}, false\n", ""}},
		Checks: []Check{unit("raftnode", "TestLeaderHearsItself")},
	},
	{
		Name:   "failed-transfer-stays",
		Breaks: "a leader whose state is wrong and that cannot hand over keeps a transfer pending: no comparison is made that could clear anybody",
		Edits: []Edit{{"internal/raftnode/verifyguard.go",
			"\t\tn.do(func(l *loop[R]) { l.withdrawTransfer() })\n", ""}},
		Checks: []Check{scripted("TestDivergedLeaderLeavesRoom")},
	},
}
