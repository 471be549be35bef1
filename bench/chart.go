package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
)

const chartLong = `Draw a report as SVG files: throughput and p99 against clients, keys, size of
values, members and watchers, as far as the report has more than one of each.

Each chart is of one report: what was measured in another invocation is never
put beside it.`

func newChartCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:     "chart REPORT",
		Short:   "Draw a report as SVG files",
		Long:    chartLong,
		Example: "  bench chart bin/bench-full.json --out docs/performance",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := readReport(args[0])
			if err != nil {
				return err
			}
			names, err := drawAll(r, out)
			for _, n := range names {
				fmt.Fprintln(cmd.OutOrStdout(), n)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", ".", "directory for the files")
	return cmd
}

// quantity is what changes from point to point of a line, all else being usual.
type quantity struct {
	file  string
	title string
	axis  axis
	of    func(w work) float64
	put   func(w *work, to work) // makes the quantity that of another work
	kinds []string
}

// quantities are all there are charts of.
func quantities() []quantity {
	plain := func(v float64) string { return shortCount(v) }
	return []quantity{
		{
			"clients", "clients", axis{"clients", plain}, func(w work) float64 { return float64(w.Clients) },
			func(w *work, to work) { w.Clients = to.Clients }, []string{kindPut, kindGet, kindStale, kindMixed, kindTxn, kindList},
		}, {
			"keys", "keys in the store", axis{"keys", plain}, func(w work) float64 { return float64(w.Keys) },
			func(w *work, to work) { w.Keys = to.Keys }, []string{kindPut, kindGet, kindList},
		}, {
			"values", "size of the values", axis{"bytes of a value", shortBytes}, func(w work) float64 { return float64(w.ValueBytes) },
			func(w *work, to work) {
				if w.Keys == sweptKeys(w.ValueBytes) {
					w.Keys = to.Keys
				}
				w.ValueBytes = to.ValueBytes
			}, []string{kindPut, kindGet},
		}, {
			"members", "members", axis{"members", plain}, func(w work) float64 { return float64(w.Members) },
			func(w *work, to work) { w.Members = to.Members }, []string{kindPut, kindGet},
		}, {
			"watchers", "watchers", axis{"watchers", plain}, func(w work) float64 { return float64(w.Watchers) },
			func(w *work, to work) { w.Watchers = to.Watchers }, []string{kindPut, kindWatch},
		},
	}
}

// baseClients is the usual number of clients where they are not what changes.
const baseClients = 64

// drawAll writes all charts that the report has points for, and returns their names.
func drawAll(r *report, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var names []string
	for _, q := range quantities() {
		for _, m := range []struct {
			file, title string
			y           axis
			of          func(*sample) float64
		}{
			{"throughput", "Operations a second", axis{"operations/s", shortCount}, throughput},
			{"p99", "Time that 99 of 100 operations take at most", axis{"p99", micros}, p99},
		} {
			c := chart{title: m.title + ", by " + q.title, note: r.caption()}
			for _, kind := range q.kinds {
				for _, to := range []target{atLeader, atAll} {
					if p := r.panel(q, kind, to, m.y, m.of); p != nil {
						c.panels = append(c.panels, *p)
					}
				}
			}
			if len(c.panels) == 0 {
				continue
			}
			name := filepath.Join(dir, m.file+"-"+q.file+".svg")
			if err := os.WriteFile(name, []byte(c.svg()), 0o644); err != nil {
				return names, err
			}
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the report has no quantity with two points to draw a line through")
	}
	return names, nil
}

// caption says where and when it was measured.
func (r *report) caption() string {
	return fmt.Sprintf("%s, commit %s, etcd %s, %s, %d cores; %d rounds, median and range",
		r.Began.Format("2006-01-02"), r.Commit, r.Versions.Etcd, r.Machine.CPU, r.Machine.Cores, r.Options.Rounds)
}

// panel makes the diagram of one kind of work, or nil where no line has two points.
func (r *report) panel(q quantity, kind string, to target, y axis, of func(*sample) float64) *panel {
	base := with(kind, baseClients, to)
	if r.Options.Members != 0 {
		base.Members, base.Keys = r.Options.Members, r.Options.Keys
	}
	switch kind {
	case kindWatch:
		base.Clients = 1
	case kindList:
		if q.file != "clients" {
			base.Clients = 1
		}
	}
	p := &panel{title: panelTitle(kind, to), x: q.axis, y: y}
	for _, w := range ways() {
		l := line{name: w.name}
		for i := range r.Results {
			res := &r.Results[i]
			// All but the quantity must be as usual.
			same := res.work
			q.put(&same, base)
			if s := res.find(w.name); same == base && s != nil && len(s.Samples) > 0 {
				l.points = append(l.points, point{q.of(res.work), s.over(of)})
			}
		}
		slices.SortFunc(l.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		if len(l.points) > 1 {
			p.lines = append(p.lines, l)
		}
	}
	if len(p.lines) == 0 {
		return nil
	}
	return p
}

func panelTitle(kind string, to target) string {
	title := map[string]string{
		kindPut: "PUT", kindGet: "GET, linearizable", kindStale: "GET, stale", kindMixed: "9 GET to 1 PUT",
		kindTxn: "transactions", kindList: "pages of 100 keys", kindWatch: "deliveries to watchers of one key",
	}[kind]
	if kind == kindWatch {
		return title
	}
	if to == atAll {
		return title + ", over all members"
	}
	return title + ", at the leader"
}

// shortCount writes 12,000 as 12k.
func shortCount(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%g", v)
}

func shortBytes(v float64) string {
	switch {
	case v >= 1<<20:
		return fmt.Sprintf("%g MiB", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%g KiB", v/(1<<10))
	}
	return fmt.Sprintf("%g B", v)
}
