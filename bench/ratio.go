package main

import (
	"errors"
	"fmt"
	"slices"
)

// errNotPaired is why there is no ratio: the two sides did not run side by side.
var errNotPaired = errors.New("not measured in the same rounds of one invocation")

// spread is a median with the least and the most that it is the median of.
type spread struct{ median, least, most float64 }

func newSpread(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	m := v[len(v)/2]
	if len(v)%2 == 0 {
		m = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return spread{m, v[0], v[len(v)-1]}
}

// side is one side of a ratio: what a way did in a scenario of a report.
type side struct {
	invocation string
	result     *result
	series     *series
}

func (r *report) side(res *result, way string) (side, error) {
	s := res.find(way)
	if s == nil || len(s.Samples) == 0 {
		return side{}, fmt.Errorf("%s, %s: %w", res.Name, way, errNotPaired)
	}
	return side{r.Invocation, res, s}, nil
}

// ratio divides what a and b did round by round. It refuses sides that were not
// measured in the same rounds of the same invocation, since the machine is
// another one from minute to minute.
func ratio(a, b side, of func(*sample) float64) (spread, error) {
	fail := fmt.Errorf("%s, %s to %s: %w", a.result.Name, a.series.Way, b.series.Way, errNotPaired)
	if a.invocation == "" || a.invocation != b.invocation || a.result.Name != b.result.Name || len(a.series.Samples) != len(b.series.Samples) {
		return spread{}, fail
	}
	var values []float64
	for i := range a.series.Samples {
		x, y := &a.series.Samples[i], &b.series.Samples[i]
		if x.Round != y.Round || of(y) == 0 {
			return spread{}, fail
		}
		values = append(values, of(x)/of(y))
	}
	return newSpread(values), nil
}

// ratio divides kvd's values by etcd's, round by round. It refuses where one has
// not been measured as often as the other.
func (f *fact) ratio() (spread, error) {
	k, e := f.Values[systemKvd], f.Values[systemEtcd]
	if len(k) == 0 || len(k) != len(e) || f.Unit == unitTimes {
		return spread{}, fmt.Errorf("%s: %s: %w", f.State, f.Name, errNotPaired)
	}
	var values []float64
	for i := range k {
		if e[i] == 0 {
			return spread{}, fmt.Errorf("%s: %s: %w", f.State, f.Name, errNotPaired)
		}
		values = append(values, k[i]/e[i])
	}
	return newSpread(values), nil
}

func throughput(s *sample) float64 { return s.PerSecond }
func p99(s *sample) float64        { return s.Latency.P99 }

// over makes a spread of a quantity of all samples.
func (s *series) over(of func(*sample) float64) spread {
	var values []float64
	for i := range s.Samples {
		values = append(values, of(&s.Samples[i]))
	}
	return newSpread(values)
}
