package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kvd/internal/raftnode"
)

const doctorLong = `Say what a data directory holds, and whether a member can start with it.

Nothing is changed, nothing is sent anywhere. The member must not be running.

Exit codes: 0 a member can start with it, 3 it cannot; then the last line says
what to do.`

func newDoctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor DIR",
		Short:   "Say what a data directory holds and what to do about it",
		Long:    doctorLong,
		Example: "  kvd doctor ./data",
		Args:    oneArgument("a data directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return doctor(cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// oneArgument demands exactly one word that is no flag.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usageError("%s is missing; use \"%s\"", what, cmd.UseLine())
		case 1:
			return nil
		}
		return usageError("unexpected argument %q; %q takes %s and flags", args[1], cmd.CommandPath(), what)
	}
}

// What a directory is good for.
const (
	verdictFine     = "fine"
	verdictNew      = "new"
	verdictTorn     = "torn"
	verdictRemoved  = "removed"
	verdictUnusable = "unusable"
)

func doctor(w io.Writer, dir string, asJSON bool) error {
	r, err := raftnode.Examine(dir)
	if err != nil {
		return exitWith(exitDataDir, "%w", err)
	}
	doc := newReportDocument(r)
	if asJSON {
		err = writeJSON(w, doc)
	} else {
		err = printReport(w, doc)
	}
	if err != nil {
		return exitWith(exitFatal, "print report: %w", err)
	}
	switch doc.Verdict {
	case verdictUnusable, verdictRemoved:
		return exitWith(exitDataDir, "%s: %s", dir, doc.Advice)
	}
	return nil
}

// judge says what a directory is good for and what to do about it.
func judge(r *raftnode.Report) (verdict, advice string) {
	switch {
	case r.Removed != "":
		return verdictRemoved, r.Removed + "; " + comeBack
	case r.Fault != nil:
		advice = r.Fault.Error()
		if u, ok := errors.AsType[*raftnode.Unusable](r.Fault); ok {
			advice += "; " + remedy(u, likelyServe(u))
		}
		return verdictUnusable, oneLine(advice)
	case r.Identity.Member == 0:
		return verdictNew, "nothing was ever stored here"
	case r.Torn != nil:
		return verdictTorn, fmt.Sprintf("%d bytes at byte %d of %s are of a write that was never finished, nor acknowledged; the next start cuts them off and keeps a copy beside the file",
			r.Torn.Bytes, r.Torn.Offset, r.Torn.File)
	}
	return verdictFine, "a member can start with it"
}

// reportDocument is a raftnode.Report as it is printed.
type reportDocument struct {
	DataDir   string             `json:"data_dir"`
	Verdict   string             `json:"verdict"`
	Advice    string             `json:"advice"`
	Cluster   string             `json:"cluster_id,omitempty"`
	Member    uint64             `json:"member,omitempty"`
	Name      string             `json:"name,omitempty"`
	Term      uint64             `json:"term"`
	Vote      uint64             `json:"vote"`
	Commit    uint64             `json:"commit"`
	First     uint64             `json:"first_index"`
	Last      uint64             `json:"last_index"`
	LastTerm  uint64             `json:"last_term"`
	Segments  int                `json:"segments"`
	Watermark watermarkDocument  `json:"watermark"`
	Snapshots []snapshotDocument `json:"snapshots"`
	Members   []offlineMember    `json:"members"`
	Removed   []uint64           `json:"removed_ids"`
	Bytes     int64              `json:"size_bytes"`
	Leftovers []string           `json:"leftovers"`
}

type watermarkDocument struct {
	State string `json:"state"`
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Vote  uint64 `json:"vote"`
}

type snapshotDocument struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Bytes int64  `json:"size_bytes"`
	State string `json:"state"` // ok, or what is wrong
}

// offlineMember is a member as files tell of it.
type offlineMember struct {
	ID        uint64 `json:"id"`
	Name      string `json:"name,omitempty"`
	Role      string `json:"role"`
	PeerURL   string `json:"peer_url"`
	ClientURL string `json:"client_url,omitempty"`
}

func newReportDocument(r *raftnode.Report) *reportDocument {
	doc := &reportDocument{
		DataDir: r.Dir, Member: r.Identity.Member, Name: r.Identity.Name,
		Term: r.Term, Vote: r.Vote, Commit: r.Commit, First: r.First, Last: r.Last, LastTerm: r.LastTerm, Segments: r.Segments,
		Watermark: watermarkDocument(r.Watermark), Snapshots: []snapshotDocument{},
		Members: offlineMembers(r.Members), Removed: nonNil(r.Former),
		Bytes: r.Bytes, Leftovers: append([]string{}, r.Leftovers...),
	}
	if r.Identity.Cluster != 0 {
		doc.Cluster = formatClusterID(r.Identity.Cluster)
	}
	for _, s := range r.Snapshots {
		state := "ok"
		if s.Fault != nil {
			state = s.Fault.Error()
		}
		doc.Snapshots = append(doc.Snapshots, snapshotDocument{Index: s.Index, Term: s.Term, Bytes: s.Bytes, State: state})
	}
	doc.Verdict, doc.Advice = judge(r)
	return doc
}

func offlineMembers(members []raftnode.Member) []offlineMember {
	list := make([]offlineMember, len(members))
	for i, m := range members {
		list[i] = offlineMember{ID: m.ID, Name: m.Name, Role: "voter", PeerURL: m.PeerURL, ClientURL: m.ClientURL}
		if m.Learner {
			list[i].Role = "learner"
		}
	}
	return list
}

func printReport(w io.Writer, doc *reportDocument) error {
	out := newOutline(w)
	out.line("directory", "%s, %s", doc.DataDir, humanBytes(doc.Bytes))
	if doc.Member != 0 {
		out.line("cluster", "%s", doc.Cluster)
		out.line("member", "%d (%s)", doc.Member, doc.Name)
		out.line("term", "%d, %s", doc.Term, votedFor(doc.Vote))
		out.line("log", "%s of term %d, in %d file(s), committed up to %d", span(doc.First, doc.Last), doc.LastTerm, doc.Segments, doc.Commit)
		out.line("watermark", "%s: index %d, term %d, %s", doc.Watermark.State, doc.Watermark.Index, doc.Watermark.Term, votedFor(doc.Watermark.Vote))
	}
	for _, s := range doc.Snapshots {
		out.line("snapshot", "index %d, term %d, %s, %s", s.Index, s.Term, humanBytes(s.Bytes), s.State)
	}
	out.members(doc.Members, doc.Removed)
	for _, name := range doc.Leftovers {
		out.line("leftover", "%s", name)
	}
	out.line("verdict", "%s: %s", doc.Verdict, doc.Advice)
	return out.flush()
}

func votedFor(id uint64) string {
	if id == 0 {
		return "voted for nobody"
	}
	return fmt.Sprintf("voted for member %d", id)
}

func span(first, last uint64) string {
	if first > last {
		return fmt.Sprintf("nothing behind index %d", last)
	}
	return fmt.Sprintf("index %d to %d", first, last)
}

// humanBytes writes n with three digits or so.
func humanBytes(n int64) string {
	for _, u := range byteUnits[:3] {
		if n >= int64(u.bytes) {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.suffix)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// outline prints facts in two columns.
type outline struct{ tw *tabwriter.Writer }

func newOutline(w io.Writer) outline { return outline{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (o outline) line(what, format string, args ...any) {
	fmt.Fprintf(o.tw, "%s\t%s\n", what, fmt.Sprintf(format, args...)) // flush tells of an error
}

func (o outline) members(members []offlineMember, removed []uint64) {
	for _, m := range members {
		o.line(m.Role, "member %d (%s), peers at %s, clients at %s", m.ID, m.Name, orUnknown(m.PeerURL), orUnknown(m.ClientURL))
	}
	if len(removed) > 0 {
		o.line("removed", "%s", strings.Trim(fmt.Sprint(removed), "[]"))
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown address"
	}
	return s
}

func (o outline) flush() error { return o.tw.Flush() }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// nonNil makes an empty list one that JSON shows as [].
func nonNil(ids []uint64) []uint64 {
	if ids == nil {
		return []uint64{}
	}
	return ids
}
