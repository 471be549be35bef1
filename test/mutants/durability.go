package main

const walWriter = "internal/raftnode/walwriter.go"

// saveThenTell is how the wal goroutine handles appends: save and sync, put into
// memory, and only then let raft's responses go.
const saveThenTell = `	if hs != nil || len(w.ents) > 0 {
		if err := w.log.Save(hs, w.ents); err != nil {
			return fmt.Errorf("save log: %w", err)
		}
	}
	clear(w.ents)
	for _, j := range jobs {
		if err := w.n.mem.Append(j.msg.GetEntries()); err != nil {
			return fmt.Errorf("append to memory storage: %w", err)
		}
		w.respond(j.msg)
	}
	w.deliver()
	return nil
`

// tellThenSave does so with responses that early chooses from w.self and w.out
// gone before the log is saved.
func tellThenSave(early string) string {
	return `	for _, j := range jobs {
		if err := w.n.mem.Append(j.msg.GetEntries()); err != nil {
			return fmt.Errorf("append to memory storage: %w", err)
		}
		w.respond(j.msg)
	}
` + early + `	if hs != nil || len(w.ents) > 0 {
		if err := w.log.Save(hs, w.ents); err != nil {
			return fmt.Errorf("save log: %w", err)
		}
	}
	clear(w.ents)
	w.deliver()
	return nil
`
}

// durability is about what is on the disk when somebody is told so.
var durability = []Mutant{
	{
		Name:   "ack-before-fsync",
		Breaks: "a member counts its own copy of an entry before the fsync, so that clients are answered before a majority has the write on disk",
		Edits: []Edit{{walWriter, saveThenTell, tellThenSave(`	out := w.out
	w.out = nil
	w.deliver()
	w.out = out
`)}},
		Checks: []Check{scripted("TestAcknowledgedIsOnDisk"), simulation()},
	},
	{
		Name:   "send-before-save",
		Breaks: "acknowledgements and votes go to other members before what they promise is saved",
		Edits: []Edit{{walWriter, saveThenTell, tellThenSave(`	self := w.self
	w.self = nil
	w.deliver()
	w.self = self
`)}},
		Checks: []Check{scripted("TestCrashRightAfterAMessage"), simulation()},
	},
	{
		Name:   "vote-before-save",
		Breaks: "a vote is answered before term and vote are saved, while entries are saved in time: after a crash the member votes twice in a term",
		Edits: []Edit{{walWriter, saveThenTell, tellThenSave(`	for _, m := range w.out {
		if m.GetType() == raftpb.MsgVoteResp {
			w.tr.Send([]*raftpb.Message{m})
		}
	}
`)}},
		Checks: []Check{scripted("TestCrashRightAfterAMessage"), simulation()},
	},
	{
		Name:   "fsync-error-ignored",
		Breaks: "an error of saving the log is written down and passed over; the member goes on as if the entries were on disk",
		Edits: []Edit{{walWriter,
			"\t\tif err := w.log.Save(hs, w.ents); err != nil {\n\t\t\treturn fmt.Errorf(\"save log: %w\", err)\n\t\t}\n\t}\n\tclear(w.ents)",
			"\t\tif err := w.log.Save(hs, w.ents); err != nil {\n\t\t\tw.n.lg.Warn(\"log not saved\", zap.Error(err))\n\t\t}\n\t}\n\tclear(w.ents)"}},
		Checks: []Check{unit("raftnode", "TestStorageErrorEndsTheMember"), scripted("TestDiskErrorEndsTheMember"), simulation(),
			chaos("-duration=30s", "-kinds=failing disk")},
	},
	{
		Name:   "ahead-over-the-log",
		Breaks: "zeros are written where the log will grow, without a look at what is there: over entries, where it is mistaken about where the log ends",
		Edits: []Edit{{"internal/raftnode/ahead.go",
			"\tcase !bytes.Equal(a.buf, a.zeros):\n", "\tcase bytes.Equal(a.buf, nil):\n"}},
		Checks: []Check{unit("raftnode", "TestAheadChangesNoByte")},
	},
	{
		Name:   "blind-repair",
		Breaks: "the end of a damaged log is cut off without a look at the watermark: entries that were synced, or a vote, are lost and the member starts",
		Edits: []Edit{{"internal/raftnode/disk.go",
			"\ths := f.hardState\n\tswitch {\n\tcase d.mark.state",
			"\ths := f.hardState\n\tswitch {\n\tcase true:\n\t\treturn nil\n\tcase d.mark.state"}},
		Checks: []Check{unit("raftnode", "TestCorruption TestWatermarkFile"), binary("TestDamagedLog TestMissingSegment")},
	},
	{
		Name:   "mark-before-truncation",
		Breaks: "the watermark is not lowered before entries are replaced: it promises what is gone, and a sound directory is refused",
		Edits: []Edit{{"internal/raftnode/disklog.go",
			"\t\tif e.GetIndex() <= d.saved.index {\n\t\t\tif err := d.mark.lower(e.GetIndex() - 1); err != nil {\n\t\t\t\treturn err\n\t\t\t}\n\t\t\tbreak\n\t\t}",
			"\t\tif e.GetIndex() <= d.saved.index {\n\t\t\tbreak\n\t\t}"}},
		Checks: []Check{unit("raftnode", "TestWatermarkIsNeverAhead")},
	},
	{
		Name:   "mark-before-log",
		Breaks: "two steps of the persist order are swapped: the watermark promises entries before the log is written, and a sound directory is refused",
		Edits: []Edit{
			{"internal/raftnode/disklog.go",
				"\tif err := d.wal.Save(hs, ents); err != nil {\n\t\treturn err\n\t}\n", ""},
			{"internal/raftnode/disklog.go",
				"\tif !voted && len(ents) == 0 {\n\t\treturn nil // a commit index alone is not synced\n\t}\n\treturn d.mark.raise(d.saved)",
				"\tif voted || len(ents) > 0 {\n\t\tif err := d.mark.raise(d.saved); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn d.wal.Save(hs, ents)"},
		},
		Checks: []Check{unit("raftnode", "TestWatermarkIsNeverAhead")},
	},
}
