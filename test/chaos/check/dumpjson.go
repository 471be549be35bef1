package check

import (
	"encoding/json"
	"time"

	"kvd/test/chaos/history"
)

// Duration is one in the form that Go prints.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	x, err := time.ParseDuration(string(b))
	*d = Duration(x)
	return err
}

// bytesJSON is bytes in one of two fields.
func bytesOf(text *string, base64 []byte) []byte {
	if text != nil {
		return []byte(*text)
	}
	return base64
}

// keyJSON is what many documents have in common.
type keyJSON struct {
	Key         *string  `json:"key"`
	KeyBase64   []byte   `json:"key_base64"`
	End         *string  `json:"end"`
	EndBase64   []byte   `json:"end_base64"`
	Value       *string  `json:"value"`
	ValueBase64 []byte   `json:"value_base64"`
	TTL         Duration `json:"ttl"`
	Lease       string   `json:"lease"`
}

func (j *keyJSON) key() string   { return string(bytesOf(j.Key, j.KeyBase64)) }
func (j *keyJSON) end() string   { return string(bytesOf(j.End, j.EndBase64)) }
func (j *keyJSON) hasEnd() bool  { return j.End != nil || j.EndBase64 != nil }
func (j *keyJSON) value() string { return history.Short(bytesOf(j.Value, j.ValueBase64)) }

// UnmarshalJSON implements json.Unmarshaler.
func (v *Version) UnmarshalJSON(b []byte) error {
	var j struct {
		keyJSON
		Type           string   `json:"type"`
		ModRevision    uint64   `json:"mod_revision"`
		CreateRevision uint64   `json:"create_revision"`
		Version        uint64   `json:"version"`
		Deadline       Duration `json:"deadline"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*v = Version{
		Key: j.key(), Type: j.Type, Value: j.value(), Mod: j.ModRevision, Create: j.CreateRevision, Version: j.Version,
		Lease: j.Lease, TTL: time.Duration(j.TTL), Deadline: time.Duration(j.Deadline),
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Command) UnmarshalJSON(b []byte) error {
	var j struct {
		keyJSON
		Command        string        `json:"command"`
		IdempotencyKey string        `json:"idempotency_key"`
		Fingerprint    string        `json:"fingerprint"`
		If             history.If    `json:"if"`
		IfRevision     uint64        `json:"if_revision"`
		UpTo           uint64        `json:"up_to"`
		Txn            *Txn          `json:"txn"`
		Result         CommandResult `json:"result"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*c = Command{
		Kind: j.Command, IdempotencyKey: j.IdempotencyKey, Fingerprint: j.Fingerprint,
		Key: j.key(), End: j.end(), HasEnd: j.hasEnd(), Value: j.value(), If: j.If, IfRevision: j.IfRevision,
		TTL: time.Duration(j.TTL), Lease: j.Lease, UpTo: j.UpTo, Txn: j.Txn, Result: j.Result,
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Compare) UnmarshalJSON(b []byte) error {
	var j struct {
		keyJSON
		Target string `json:"target"`
		Op     string `json:"op"`
		Number uint64 `json:"number"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*c = Compare{Key: j.key(), Target: j.Target, Op: j.Op, Number: j.Number}
	switch c.Target {
	case "value":
		c.Text = j.value()
	case "lease":
		c.Text = j.Lease
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *TxnStep) UnmarshalJSON(b []byte) error {
	var j struct {
		keyJSON
		Op      string `json:"op"`
		Limit   uint64 `json:"limit"`
		Reverse bool   `json:"reverse"`
		Keys    bool   `json:"keys"`
		Count   bool   `json:"count"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = TxnStep{
		Op: j.Op, Key: j.key(), End: j.end(), HasEnd: j.hasEnd(), Value: j.value(), TTL: time.Duration(j.TTL), Lease: j.Lease,
		Limit: j.Limit, Reverse: j.Reverse, Keys: j.Keys, OnlyCounts: j.Count,
	}
	return nil
}
