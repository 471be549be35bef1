package main

// syncOrder is the unit test that knows what is to be synced before what.
const syncOrder = "TestSyncedBeforePromised"

// syncs is about what a power failure takes.
var syncs = []Mutant{
	{
		Name:   "log-never-synced",
		Breaks: "the log is written and never synced",
		Edits: []Edit{
			{"internal/raftnode/disk.go", "\td.found = &scannedWAL{identity: id}\n", "\td.wal.SetUnsafeNoFsync()\n\td.found = &scannedWAL{identity: id}\n"},
			{"internal/raftnode/disk.go", "\td.wal = w\n", "\td.wal = w\n\tw.SetUnsafeNoFsync()\n"},
		},
		Checks: []Check{unit("raftnode", syncOrder), power("-fs=ext4", "-forms=one", "-cycles=4")},
	},
	{
		Name:   "founding-not-synced",
		Breaks: "founders tell each other their tokens before the file that keeps them is synced: they forget whose members they are",
		Edits: []Edit{{"internal/raftnode/diskfile.go",
			"\tif err == nil {\n\t\terr = fileutil.Fsync(f)\n\t}\n", "\t_ = fileutil.Fsync\n"}},
		Checks: []Check{unit("raftnode", syncOrder), power("-fs=ext4", "-forms=one,all", "-cycles=12", "-epoch=1")},
	},
	{
		Name:   "founding-name-not-synced",
		Breaks: "as `founding-not-synced`, of the name that the file gets",
		Edits: []Edit{{"internal/raftnode/diskfile.go",
			"\treturn syncDir(filepath.Dir(path))", "\t_ = filepath.Dir\n\treturn nil"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "body-not-synced",
		Breaks: "the body of a snapshot gets its name, and counts, before it is durable",
		Edits: []Edit{{"internal/raftnode/bodyfile.go",
			"\tif err == nil {\n\t\terr = f.Sync()\n\t}\n", ""}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "body-never-synced",
		Breaks: "the body of a snapshot is neither synced nor written out before the log that it stands for is released",
		Edits: []Edit{
			{"internal/raftnode/bodyfile.go", "\tif err == nil {\n\t\terr = f.Sync()\n\t}\n", ""},
			{"internal/raftnode/writeout_linux.go", "off, n, writeAndWait)", "off, n, 0*writeAndWait)"},
		},
		Checks: []Check{unit("raftnode", syncOrder), power("-fs=ext4", "-forms=one", "-cycles=120", "-heavy")},
	},
	{
		Name:   "body-name-not-synced",
		Breaks: "the body of a snapshot counts before its name is durable",
		Edits: []Edit{{"internal/raftnode/bodyfile.go",
			"\treturn syncDir(dir)\n", "\treturn nil\n"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "record-before-name",
		Breaks: "the log records a snapshot before the names of its files are durable",
		Edits: []Edit{{"internal/raftnode/disklog.go",
			"\tif err := syncDir(d.path(\"snap\")); err != nil {\n\t\treturn err\n\t}\n", ""}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "directory-name-not-synced",
		Breaks: "a new data directory is not durable in the one above it: a member may begin anew, without its votes",
		Edits: []Edit{{"internal/raftnode/directory.go",
			"\treturn syncDir(above)\n", "\treturn nil\n"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "segment-name-not-synced",
		Breaks: "the name of the first segment of a new log is not durable",
		Edits: []Edit{{"internal/raftnode/disk.go",
			"\t\terr = syncDir(d.path(\"wal\"))", "\t\terr = nil"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "lowered-mark-not-synced",
		Breaks: "the watermark is lowered without an fsync before entries are replaced: the old one comes back, and a sound directory is refused",
		Edits: []Edit{{"internal/raftnode/watermark.go",
			"\treturn w.f.Sync()\n", "\treturn nil\n"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "new-mark-not-synced",
		Breaks: "the watermark is made without an fsync: a member with a torn log, as any power failure leaves it, does not start",
		Edits: []Edit{{"internal/raftnode/watermark.go",
			"errors.Join(w.f.Truncate(watermarkBytes), w.f.Sync(), syncDir(filepath.Dir(w.path)))", "errors.Join(w.f.Truncate(watermarkBytes), syncDir(filepath.Dir(w.path)))"}},
		Checks: []Check{unit("raftnode", syncOrder), power("-fs=ext4", "-forms=one", "-cycles=20", "-epoch=1")},
	},
	{
		Name:   "new-mark-name-not-synced",
		Breaks: "as `new-mark-not-synced`, of its name and those of the log and the snapshots beside it",
		Edits: []Edit{{"internal/raftnode/watermark.go",
			"errors.Join(w.f.Truncate(watermarkBytes), w.f.Sync(), syncDir(filepath.Dir(w.path)))", "errors.Join(w.f.Truncate(watermarkBytes), w.f.Sync())\n\t_ = filepath.Dir"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "removal-not-synced",
		Breaks: "a member that was removed does not keep that it was",
		Edits: []Edit{{"internal/raftnode/disk.go",
			"\treturn writeFileDurably(d.path(\"removed\"), []byte(text))", "\treturn os.WriteFile(d.path(\"removed\"), []byte(text), 0o600)"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
	{
		Name:   "restored-name-not-synced",
		Breaks: "a restore tells that it has succeeded before the name of the directory is durable",
		Edits: []Edit{{"internal/raftnode/newdir.go",
			"\treturn syncDir(filepath.Dir(dir))\n", "\treturn nil\n"}},
		Checks: []Check{unit("raftnode", syncOrder)},
	},
}
