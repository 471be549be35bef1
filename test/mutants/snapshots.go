package main

// snapshots is about snapshots: written, installed, sent, taken over.
var snapshots = []Mutant{
	{
		Name:   "no-sync-before-release",
		Breaks: "an installed snapshot releases the log before the commit index that makes its record valid is synced (etcd issue 10219)",
		Edits: []Edit{{walWriter,
			"\tif err := w.log.Sync(); err != nil {\n\t\treturn fmt.Errorf(\"sync log: %w\", err)\n\t}\n\tif err := w.n.mem.ApplySnapshot",
			"\tif err := w.n.mem.ApplySnapshot"}},
		Checks: []Check{scripted("TestKilledWhileInstallingASnapshot"), simulation()},
	},
	{
		Name:   "commit-before-record",
		Breaks: "two steps of the persist order are swapped: the commit index of an installed snapshot is saved before its record, and a crash between them leaves a log that ends before it",
		Edits: []Edit{
			{walWriter,
				"\tif err := w.log.SaveSnapshot(meta, true); err != nil {\n\t\treturn fmt.Errorf(\"save snapshot %d: %w\", meta.GetIndex(), err)\n\t}\n", ""},
			{walWriter,
				"\tif err := w.log.Sync(); err != nil {\n\t\treturn fmt.Errorf(\"sync log: %w\", err)\n\t}\n\tif err := w.n.mem.ApplySnapshot",
				"\tif err := w.log.SaveSnapshot(meta, true); err != nil {\n\t\treturn fmt.Errorf(\"save snapshot %d: %w\", meta.GetIndex(), err)\n\t}\n" +
					"\tif err := w.log.Sync(); err != nil {\n\t\treturn fmt.Errorf(\"sync log: %w\", err)\n\t}\n\tif err := w.n.mem.ApplySnapshot"},
		},
		Checks: []Check{scripted("TestKilledWhileInstallingASnapshot"), simulation()},
	},
	{
		Name:   "record-before-file",
		Breaks: "two steps of the persist order are swapped: the log records a snapshot before its file is written, and names one that is not there",
		Edits: []Edit{
			{"internal/raftnode/disklog.go",
				"\tif err := d.snaps.SaveSnap(&raftpb.Snapshot{Metadata: meta}); err != nil {\n\t\treturn err\n\t}\n",
				"\trecord := &walpb.Snapshot{Index: meta.Index, Term: meta.Term, ConfState: meta.ConfState}\n" +
					"\tif err := d.wal.SaveSnapshot(record); err != nil {\n\t\treturn err\n\t}\n" +
					"\tif err := d.snaps.SaveSnap(&raftpb.Snapshot{Metadata: meta}); err != nil {\n\t\treturn err\n\t}\n"},
			{"internal/raftnode/disklog.go",
				"\terr := d.wal.SaveSnapshot(&walpb.Snapshot{Index: meta.Index, Term: meta.Term, ConfState: meta.ConfState})\n\tif err != nil {\n\t\treturn err\n\t}\n",
				""},
		},
		Checks: []Check{unit("raftnode", "TestSnapshotIsRecordedLast")},
	},
	{
		Name:   "release-too-far",
		Breaks: "a new snapshot releases the one before it and the log behind that: when the newest file is damaged, there is nothing to start from",
		Edits: []Edit{{walWriter,
			"\tif err := w.log.Release(w.previous); err != nil {", "\tif err := w.log.Release(index); err != nil {"}},
		Checks: []Check{unit("raftnode", "TestSnapshotBeforeTheNewestIsKept"), binary("TestDamagedSnapshot")},
	},
	{
		Name:   "lost-report-snapshot",
		Breaks: "raft is not told how the sending of a snapshot ended: a follower that it failed for is sent nothing more (etcd issue 10225)",
		Edits: []Edit{{"internal/raftnode/receive.go",
			"\tn.do(func(l *loop[R]) { l.rn.ReportSnapshot(id, status) })",
			"\tn.do(func(*loop[R]) { _ = status })"}},
		Checks: []Check{scripted("TestSnapshotsThatFailAtFirst"), simulation()},
	},
	{
		Name:   "no-conf-state",
		Breaks: "snapshots carry no configuration: who starts from one knows of no voters",
		Edits: []Edit{{"internal/raftnode/snapshot.go",
			"Index: new(a.index), Term: new(a.term), ConfState: proto.Clone(a.confState).(*raftpb.ConfState),",
			"Index: new(a.index), Term: new(a.term), ConfState: &raftpb.ConfState{},"}},
		Checks: []Check{unit("raftnode", "TestSnapshotNamesItsVoters"), simulation()},
	},
	{
		Name:   "watch-skips-snapshot",
		Breaks: "a watcher that waits takes an installed snapshot for nothing new, and never tells what the snapshot brought",
		Edits: []Edit{{"internal/kvstore/restore.go",
			"\tm.watches.note(&m.state)\n", "\tm.watches.noted = m.state.revision\n"}},
		Checks: []Check{unit("kvstore", "TestWatchOverASnapshot TestWatchersAgainstHistory"), binary("TestWatchOverSnapshot")},
	},
	{
		Name:   "reseed-keeps-old-state",
		Breaks: "a state that is given anew keeps the versions in memory whose revisions it knows, damaged or not",
		Edits: []Edit{{"internal/kvstore/chain.go",
			"ch.have[n-1].equal(it)", "ch.have[n-1].modRevision == it.modRevision"}},
		Checks: []Check{scripted("TestAlteredMember"), simulation()},
	},
	{
		Name:   "reseed-keeps-old-snapshots",
		Breaks: "after a re-seed the snapshot before it stays, with the log that leads to the wrong state",
		Edits: []Edit{{walWriter,
			"\t\tw.previous = index // nobody must fall back to the snapshot before, or to the log\n",
			"\t\tw.n.lg.Debug(\"state taken over\")\n"}},
		Checks: []Check{unit("raftnode", "TestReseedOnDisk")},
	},
	{
		Name:   "probe-never-repeated",
		Breaks: "entries that were lost on their way to a follower that is being probed are never sent again: it does not catch up",
		Edits: []Edit{{"internal/raftnode/ready.go",
			"m.GetIndex() == last.index && m.GetLogTerm() == last.term && now.Sub(last.at) < l.n.cfg.Tick {",
			"m.GetIndex() == last.index && m.GetLogTerm() == last.term && !last.at.IsZero() {"}},
		Checks: []Check{unit("raftnode", "TestRepeatedProbe"), simulation()},
	},
}
