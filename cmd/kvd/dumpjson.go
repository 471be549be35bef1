package main

import (
	"bufio"
	"encoding/json"
	"io"

	"kvd/internal/kvstore"
)

// jsonDump prints a dump for programs.
type jsonDump struct {
	buf *bufio.Writer
	enc *json.Encoder
}

func newJSONDump(w io.Writer) *jsonDump {
	buf := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return &jsonDump{buf, enc}
}

func (d *jsonDump) header(h *dumpHeader) error { return d.enc.Encode(dumpLine{Header: h}) }
func (d *jsonDump) entry(e *dumpEntry) error   { return d.enc.Encode(dumpLine{Entry: e}) }

func (d *jsonDump) end(e *dumpEnd) error {
	if err := d.enc.Encode(dumpLine{End: e}); err != nil {
		return err
	}
	return d.buf.Flush()
}

func (d *jsonDump) state(m *kvstore.Machine) error {
	for v := range m.Base() {
		if err := d.enc.Encode(dumpLine{Item: newDumpVersion(v)}); err != nil {
			return err
		}
	}
	for v := range m.Changes(0) {
		if err := d.enc.Encode(dumpLine{Change: newDumpVersion(v)}); err != nil {
			return err
		}
	}
	for l := range m.Granted() {
		doc := &dumpLease{ID: l.ID.String(), TTL: l.TTL.String(), Deadline: l.Deadline.String()}
		if err := d.enc.Encode(dumpLine{Lease: doc}); err != nil {
			return err
		}
	}
	for x := range m.Remembered() {
		doc := &dumpRequest{IdempotencyKey: string(x.Key), Fingerprint: x.Fingerprint, LogClock: x.Clock.String(), Result: newDumpResult(&x.Result)}
		if err := d.enc.Encode(dumpLine{Request: doc}); err != nil {
			return err
		}
	}
	return nil
}
