//go:build !linux

package raftnode

import "os"

// writeOut leaves it to the system when a part of a file is written.
func writeOut(*os.File, int64, int64) error { return nil }

// startWriteOut leaves it to the system, too.
func startWriteOut(*os.File, int64, int64) {}

// aheadHere: not at all. A file that is open twice cannot be renamed everywhere.
const aheadHere = 0

// nameless tells whether a file that is open has no name any more: not known here.
func nameless(os.FileInfo) bool { return false }
