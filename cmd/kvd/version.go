package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the release, set by the linker (-X main.version=…). A build
// without it is told apart by its revision.
var version = "dev"

// buildInfo says which kvd this is.
type buildInfo struct {
	Version  string // release, or "dev"
	Revision string // commit of the source; ends in "-dirty" when it was edited; empty when unknown
	Go       string // Go version and platform
}

// readBuildInfo returns what the linker and the Go tool wrote into the binary.
func readBuildInfo() buildInfo {
	b := buildInfo{
		Version: version,
		Go:      fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty && b.Revision != "" {
		b.Revision += "-dirty"
	}
	return b
}

func (b buildInfo) String() string {
	if b.Revision == "" {
		return fmt.Sprintf("kvd %s (%s)", b.Version, b.Go)
	}
	return fmt.Sprintf("kvd %s (revision %s, %s)", b.Version, b.Revision, b.Go)
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), readBuildInfo())
			return nil
		},
	}
}
