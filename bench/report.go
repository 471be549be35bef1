package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// schema is raised when a report's form changes.
const schema = 1

// report is what one invocation has measured. Table and charts are made from it.
type report struct {
	Schema     int       `json:"schema"`
	Invocation string    `json:"invocation"` // a random name
	Began      time.Time `json:"began"`
	Seconds    float64   `json:"seconds"` // it took
	Machine    machine   `json:"machine"`
	Commit     string    `json:"commit"` // of kvd
	Versions   versions  `json:"versions"`
	Options    options   `json:"options"`

	Results []result `json:"results"`
	Facts   []fact   `json:"facts"`
	Notes   []string `json:"notes,omitempty"` // what was out of the ordinary
}

// result is what a scenario has come to.
type result struct {
	Name string `json:"name"`
	work
	Series []series `json:"series"`
	Goals  []goal   `json:"goals,omitempty"`
}

// series is what one way has done in each round.
type series struct {
	Way     string   `json:"way"`
	System  string   `json:"system"`
	Samples []sample `json:"samples"`
}

// sample is what one way has done in one round. Times are in microseconds.
type sample struct {
	Round     int              `json:"round"`
	Seconds   float64          `json:"seconds"`
	Ops       int64            `json:"operations"`
	PerSecond float64          `json:"per_second"`
	Failed    int64            `json:"failed"`
	Errors    map[string]int64 `json:"errors,omitempty"`
	Latency   latency          `json:"latency_us"`
	Reads     *latency         `json:"reads_us,omitempty"` // where there are both
	Writes    *latency         `json:"writes_us,omitempty"`

	ServerCPU float64 `json:"server_cpu_us_per_operation"` // of all members
	ClientCPU float64 `json:"client_cpu_us_per_operation"`
	Resident  int64   `json:"resident_bytes"` // of all members, at the end
	Peak      int64   `json:"peak_resident_bytes"`
}

// latency are times that so many of all operations took at most, in microseconds.
type latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// fact is something that is measured of the stores beside their work, such as
// the time that a restart takes; one value a round.
type fact struct {
	State  string               `json:"state"`
	Name   string               `json:"name"`
	Unit   string               `json:"unit"`
	Values map[string][]float64 `json:"values"`          // by system
	Most   float64              `json:"most,omitempty"`  // the goal: kvd's in relation to etcd's
	Limit  float64              `json:"limit,omitempty"` // the goal: kvd's value
}

// The units of facts.
const (
	unitSeconds   = "s"
	unitBytes     = "bytes"
	unitPerSecond = "1/s"
	unitTimes     = "times"
)

func (r *result) find(way string) *series {
	for i := range r.Series {
		if r.Series[i].Way == way {
			return &r.Series[i]
		}
	}
	return nil
}

func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func readReport(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Schema != schema {
		return nil, fmt.Errorf("%s: schema %d, and this program knows %d", path, r.Schema, schema)
	}
	return &r, nil
}
