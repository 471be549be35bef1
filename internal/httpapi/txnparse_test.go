package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

func TestParseTxn(t *testing.T) {
	key := func(s string) []byte { return []byte(s) }
	for _, tt := range []struct {
		body string
		want kvstore.Txn
	}{
		{`{}`, kvstore.Txn{}},
		{` { "if" : [ ] , "then":[],"else":[]}` + "\n", kvstore.Txn{}},
		// The contract's example.
		{`{"if":   [{"key":"a","mod_revision":{"eq":40}}, {"key":"b","exists":false}, {"key":"c","value":{"eq":"x"}}],
		   "then": [{"put":{"key":"a","value":"1","ttl":"30s"}}, {"get":{"key":"b"}}, {"delete":{"prefix":"tmp/"}}],
		   "else": [{"range":{"prefix":"app/","limit":10}}]}`, kvstore.Txn{
			If: []kvstore.Comparison{
				{Key: key("a"), Target: kvstore.CompareModRevision, Op: kvstore.Equal, Number: 40},
				{Key: key("b"), Target: kvstore.CompareExists, Op: kvstore.Equal},
				{Key: key("c"), Target: kvstore.CompareValue, Op: kvstore.Equal, Value: key("x")},
			},
			Then: []kvstore.Op{
				{Kind: kvstore.OpPut, Key: key("a"), Value: key("1"), TTL: 30 * time.Second},
				{Kind: kvstore.OpGet, Key: key("b")},
				{Kind: kvstore.OpDeleteRange, Key: key("tmp/"), End: key("tmp0")},
			},
			Else: []kvstore.Op{{Kind: kvstore.OpRange, Key: key("app/"), End: key("app0"), Limit: 10}},
		}},
		{`{"if":[{"create_revision":{"ne":0},"key_base64":"/w=="},{"key":"a","version":{"gt":1}},{"key":"a","value_base64":{"lt":"/w"}},
		   {"key":"a","lease":{"ge":"00000000000000ff"}},{"key":"a","lease":{"le":""}},{"key":"a","exists":true},{"key":"a","value":{"ne":""}}]}`, kvstore.Txn{
			If: []kvstore.Comparison{
				{Key: key("\xff"), Target: kvstore.CompareCreateRevision, Op: kvstore.NotEqual},
				{Key: key("a"), Target: kvstore.CompareVersion, Op: kvstore.Greater, Number: 1},
				{Key: key("a"), Target: kvstore.CompareValue, Op: kvstore.Less, Value: key("\xff")},
				{Key: key("a"), Target: kvstore.CompareLease, Op: kvstore.GreaterOrEqual, Number: 255},
				{Key: key("a"), Target: kvstore.CompareLease, Op: kvstore.LessOrEqual},
				{Key: key("a"), Target: kvstore.CompareExists, Op: kvstore.Equal, Number: 1},
				{Key: key("a"), Target: kvstore.CompareValue, Op: kvstore.NotEqual, Value: key("")},
			},
		}},
		{`{"then":[{"put":{"key":"\u0000\ud83d\ude00","value_base64":"AP8=","content_type":" text/plain ","lease":"00000000000000ff","prev":true}},
		   {"put":{"key":"a","value":"","content_type":"application/octet-stream"}},{"delete":{"key":"a","prev":true}},{"delete":{"key":"a","prev":false}},
		   {"delete":{"start":"b","end_base64":"/w=="}},{"delete":{"prefix":"","confirm":"all"}},{"delete":{"start":"","confirm":"all"}}]}`, kvstore.Txn{
			Then: []kvstore.Op{
				{Kind: kvstore.OpPut, Key: key("\x00😀"), Value: key("\x00\xff"), ContentType: "text/plain", Lease: 255, WantPrev: true},
				{Kind: kvstore.OpPut, Key: key("a"), Value: key("")},
				{Kind: kvstore.OpDelete, Key: key("a"), WantPrev: true},
				{Kind: kvstore.OpDelete, Key: key("a")},
				{Kind: kvstore.OpDeleteRange, Key: key("b"), End: key("\xff")},
				{Kind: kvstore.OpDeleteRange, Key: key("")},
				{Kind: kvstore.OpDeleteRange, Key: key("")},
			},
		}},
		{`{"else":[{"range":{}},{"range":{"count":true}},{"range":{"start":"a","reverse":true,"keys":true,"limit":10000}}]}`, kvstore.Txn{
			Else: []kvstore.Op{
				{Kind: kvstore.OpRange},
				{Kind: kvstore.OpRange, CountOnly: true},
				{Kind: kvstore.OpRange, Key: key("a"), Limit: 10_000, Reverse: true, KeysOnly: true},
			},
		}},
	} {
		got, err := parseTxn([]byte(tt.body), 1<<20)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", tt.body, got, err, tt.want)
		}
	}
}

// badTxns are bodies with the beginning of what is said about them.
var badTxns = []struct{ body, detail string }{
	{``, "unexpected end"},
	{`{`, "unexpected end"},
	{`null`, "the body must be one JSON object"},
	{`[]`, "the body must be one JSON object"},
	{`{} {}`, "invalid character"},
	{`{"then":[}`, "invalid character"},
	{`{"then":[],}`, "invalid character"},
	{"{\"then\":[{\"get\":{\"key\":\"\xff\"}}]}", "the body is not UTF-8"},
	{strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), ""},
	{strings.Repeat("[", 100) + strings.Repeat("]", 100), "the body must be one JSON object"},
	{`{"when":[]}`, `body: unknown member "when"; known are if, then and else`},
	{`{"Then":[]}`, `body: unknown member "Then"`},
	{`{"then":[],"then":[]}`, "then: stands there twice"},
	{`{"then":[],"th\u0065n":[]}`, "then: stands there twice"},
	{`{"then":null}`, "then: takes a list"},
	{`{"then":{}}`, "then: takes a list"},
	{`{"if":"x"}`, "if: takes a list"},
	{`{"then":[7]}`, "then[0]: takes an object"},
	{`{"then":[{"get":{"key":"a"}},{}]}`, "then[1]: takes put, get, delete or range"},
	{`{"then":[{"get":{"key":"a"},"put":{"key":"a","value":""}}]}`, "then[0]: takes one operation"},
	{`{"then":[{"get":{"key":"a"},"get":{"key":"a"}}]}`, "then[0]: takes one operation"},
	{`{"then":[{"incr":{"key":"a"}}]}`, `then[0]: unknown member "incr"; known are put, get, delete and range`},
	{`{"then":[{"` + strings.Repeat("x", 100) + `":{}}]}`, `then[0]: unknown member "` + strings.Repeat("x", 64) + `…"`},
	{`{"then":[{"get":"a"}]}`, "then[0].get: takes an object"},
	{`{"then":[{"get":[[[[]]]]}]}`, "then[0].get: takes an object"},
	{`{"then":[{"get":{"key":{"key":{"key":{}}}}}]}`, "then[0].get.key: takes a string"},
	{`{"then":[{"get":{"key":null}}]}`, "then[0].get.key: takes a string"},
	{`{"then":[{"get":{"key":7}}]}`, "then[0].get.key: takes a string"},
	{`{"then":[{"get":{"key":"\ud83d"}}]}`, "then[0].get.key: takes a string"},
	{`{"then":[{"get":{"key":"\ude00\ud83d"}}]}`, "then[0].get.key: takes a string"},
	{`{"then":[{"get":{"key_base64":"a"}}]}`, "then[0].get.key_base64: takes a string in base64"},
	{`{"then":[{"get":{"key":"a","key_base64":"YQ"}}]}`, "then[0].get.key_base64: given more than once"},
	{`{"then":[{"get":{"key":"a","key":"a"}}]}`, "then[0].get.key: given more than once"},
	{`{"then":[{"get":{"key":""}}]}`, "then[0].get: a key has at least one byte"},
	{`{"then":[{"get":{}}]}`, "then[0].get: key or key_base64 is required"},
	{`{"then":[{"get":{"Key":"a"}}]}`, `then[0].get: unknown member "Key"; known are key, key_base64`},
	{`{"then":[{"get":{"key":"a","prev":true}}]}`, `then[0].get: unknown member "prev"`},
	{`{"else":[{"put":{"key":"a"}}]}`, "else[0].put: value or value_base64 is required"},
	{`{"then":[{"put":{"value":"a"}}]}`, "then[0].put: key or key_base64 is required"},
	{`{"then":[{"put":{"key":"a","value":7}}]}`, "then[0].put.value: takes a string"},
	{`{"then":[{"put":{"key":"a","value":"","ttl":"0s"}}]}`, "then[0].put.ttl: takes a duration from 1s to 87600h"},
	{`{"then":[{"put":{"key":"a","value":"","ttl":"87600h1ns"}}]}`, "then[0].put.ttl: takes a duration"},
	{`{"then":[{"put":{"key":"a","value":"","ttl":30}}]}`, "then[0].put.ttl: takes a duration"},
	{`{"then":[{"put":{"key":"a","value":"","lease":""}}]}`, "then[0].put.lease: takes the id of a lease"},
	{`{"then":[{"put":{"key":"a","value":"","lease":"0000000000000000"}}]}`, "then[0].put.lease: takes the id of a lease"},
	{`{"then":[{"put":{"key":"a","value":"","lease":"00000000000000FF"}}]}`, "then[0].put.lease: takes the id of a lease"},
	{`{"then":[{"put":{"key":"a","value":"","lease":"00000000000000ff","ttl":"1s"}}]}`, "then[0].put: ttl and lease exclude each other"},
	{`{"then":[{"put":{"key":"a","value":"","prev":1}}]}`, "then[0].put.prev: takes true or false"},
	{`{"then":[{"put":{"key":"a","value":"","content_type":"a\r\nSet-Cookie: b"}}]}`, "then[0].put.content_type: takes a media type"},
	{`{"then":[{"put":{"key":"a","value":"","content_type":"` + strings.Repeat("x", kvstore.MaxContentTypeBytes+1) + `"}}]}`, "then[0].put.content_type: takes a media type"},
	{`{"then":[{"delete":{}}]}`, "then[0].delete: key or key_base64 is required"},
	{`{"then":[{"delete":{"key":"a","prefix":"b"}}]}`, "then[0].delete: takes a key or a range of keys, not both"},
	{`{"then":[{"delete":{"prefix":"a","start":"b"}}]}`, `then[0].delete: "start": prefix is given as well`},
	{`{"then":[{"delete":{"prefix":"a","prev":true}}]}`, "then[0].delete: prev goes with a key"},
	{`{"then":[{"delete":{"key":"a","confirm":"all"}}]}`, "then[0].delete: confirm goes with a range of keys"},
	{`{"then":[{"delete":{"prefix":"a","confirm":"yes"}}]}`, `then[0].delete.confirm: takes "all"`},
	{`{"then":[{"delete":{"prefix":""}}]}`, "then[0].delete: deletes every key"},
	{`{"then":[{"delete":{"start":""}}]}`, "then[0].delete: deletes every key"},
	{`{"then":[{"range":{"key":"a"}}]}`, `then[0].range: unknown member "key"`},
	{`{"then":[{"range":{"start":"b","end":"a"}}]}`, `then[0].range: "end": below start`},
	{`{"then":[{"range":{"end":""}}]}`, `then[0].range: "end": no key is below an empty one`},
	{`{"then":[{"range":{"prefix":"` + strings.Repeat("x", 4097) + `"}}]}`, "then[0].range.prefix: takes a string of at most 4096 bytes"},
	{`{"then":[{"range":{"limit":0}}]}`, "then[0].range.limit: takes a number from 1 to 10000"},
	{`{"then":[{"range":{"limit":10001}}]}`, "then[0].range.limit: takes a number"},
	{`{"then":[{"range":{"limit":-1}}]}`, "then[0].range.limit: takes a number"},
	{`{"then":[{"range":{"limit":1e3}}]}`, "then[0].range.limit: takes a number"},
	{`{"then":[{"range":{"count":true,"limit":1}}]}`, "then[0].range: count counts all of the range"},
	{`{"if":[{"key":"a"}]}`, "if[0]: takes mod_revision, "},
	{`{"if":[{"exists":true}]}`, "if[0]: key or key_base64 is required"},
	{`{"if":[{"key":"","exists":true}]}`, "if[0]: a key has at least one byte"},
	{`{"if":[{"key":"a","exists":"true"}]}`, "if[0].exists: takes true or false"},
	{`{"if":[{"key":"a","exists":{"eq":true}}]}`, "if[0].exists: takes true or false"},
	{`{"if":[{"key":"a","exists":true,"exists":true}]}`, "if[0]: takes one comparison"},
	{`{"if":[{"key":"a","exists":true,"version":{"eq":1}}]}`, "if[0]: takes one comparison"},
	{`{"if":[{"key":"a","key":"a","exists":true}]}`, "if[0].key: given more than once"},
	{`{"if":[{"key":"a","value":{"eq":"a"},"value_base64":{"eq":"YQ"}}]}`, "if[0]: takes one comparison"},
	{`{"if":[{"key":"a","size":{"eq":1}}]}`, `if[0]: unknown member "size"`},
	{`{"if":[{"key":"a","version":1}]}`, "if[0].version: takes an object such as"},
	{`{"if":[{"key":"a","version":{}}]}`, "if[0].version: takes eq, ne, gt, lt, ge or le"},
	{`{"if":[{"key":"a","version":{"eq":1,"ne":2}}]}`, "if[0].version: takes one operator"},
	{`{"if":[{"key":"a","version":{"eq":1,"eq":1}}]}`, "if[0].version: takes one operator"},
	{`{"if":[{"key":"a","version":{"is":1}}]}`, `if[0].version: unknown member "is"; known are eq, `},
	{`{"if":[{"key":"a","version":{"eq":"1"}}]}`, "if[0].version.eq: takes a whole number from 0"},
	{`{"if":[{"key":"a","mod_revision":{"eq":1.0}}]}`, "if[0].mod_revision.eq: takes a whole number"},
	{`{"if":[{"key":"a","mod_revision":{"eq":18446744073709551616}}]}`, "if[0].mod_revision.eq: takes a whole number"},
	{`{"if":[{"key":"a","value":{"eq":1}}]}`, "if[0].value.eq: takes a string"},
	{`{"if":[{"key":"a","lease":{"eq":"7f"}}]}`, "if[0].lease.eq: takes the id of a lease"},
	{`{"if":[{"key":"a","lease":{"eq":0}}]}`, "if[0].lease.eq: takes the id of a lease"},
	{`{"if":[` + strings.Repeat(`{"key":"a","exists":true},`, 64) + `{"key":"a","exists":true}],"then":[` + strings.Repeat(`{"get":{"key":"a"}},`, 63) + `{"get":{"key":"a"}}]}`,
		"then[63]: more than 128 comparisons and operations"},
}

func TestBadTxns(t *testing.T) {
	f := newFixture(t)
	for _, tt := range badTxns {
		doc := f.wantProblem(400, "bad_txn", notApplied, "POST", "/v1/txn", tt.body)
		if !strings.HasPrefix(doc.Detail, tt.detail) {
			t.Errorf("%.100s: got detail %q, want %q", tt.body, doc.Detail, tt.detail)
		}
	}
	doc := f.wantProblem(414, "key_too_long", notApplied, "POST", "/v1/txn", `{"then":[{"get":{"key":"`+strings.Repeat("k", 4097)+`"}}]}`)
	if !strings.HasPrefix(doc.Detail, "then[0].get: a key has at most 4096 bytes") {
		t.Errorf("long key: detail %q", doc.Detail)
	}
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/txn?prev=true", `{}`)
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/txn", `{}`, "Idempotency-Key: a b")
	if n := f.log.proposals(); n != 0 {
		t.Errorf("%d commands were proposed", n)
	}
}

// FuzzTxn: whatever the body, it is refused by one of three errors or taken for
// a transaction within the limits, which written out anew is the same again.
func FuzzTxn(f *testing.F) {
	for _, tt := range badTxns {
		if len(tt.body) < 1000 {
			f.Add([]byte(tt.body))
		}
	}
	f.Add([]byte(`{"if":[{"key":"a","mod_revision":{"eq":40}},{"key":"b","exists":false},{"key":"c","value":{"ge":"x"}},{"key":"d","lease":{"ne":""}}],
		"then":[{"put":{"key":"a","value":"1","ttl":"30s"}},{"get":{"key":"b"}},{"delete":{"prefix":"tmp/"}},{"delete":{"key_base64":"/w==","prev":true}}],
		"else":[{"range":{"prefix":"app/","limit":10,"reverse":true}},{"put":{"key":"\u00e9","value_base64":"AP8","content_type":"a/b","lease":"00000000000000ff"}}]}`))
	const maxValue = 100
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseTxn(body, maxValue)
		if err != nil {
			if !errors.Is(err, kvstore.ErrBadTxn) && !errors.Is(err, errKeyTooLong) && !errors.Is(err, errTooMuch) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if !json.Valid(body) || len(got.If)+len(got.Then)+len(got.Else) > kvstore.MaxTxnOperations {
			t.Fatalf("%q was taken", body)
		}
		for _, c := range got.If {
			checkTxnKey(t, body, c.Key)
		}
		for _, op := range append(append([]kvstore.Op{}, got.Then...), got.Else...) {
			switch op.Kind {
			case kvstore.OpPut, kvstore.OpGet, kvstore.OpDelete:
				checkTxnKey(t, body, op.Key)
			}
			if len(op.Value) > maxValue || len(op.Key) > kvstore.MaxKeyBytes || len(op.End) > kvstore.MaxKeyBytes || op.Limit > maxLimit || op.TTL != 0 && op.Lease != 0 {
				t.Fatalf("%q was taken as %+v", body, op)
			}
		}
		again, err := parseTxn(writeOut(&got), maxValue)
		if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", got) {
			t.Fatalf("%q\nbecame  %+v\nby way of %s\nbecame  %+v, %v", body, got, writeOut(&got), again, err)
		}
	})
}

func checkTxnKey(t *testing.T, body, key []byte) {
	t.Helper()
	if len(key) == 0 || len(key) > kvstore.MaxKeyBytes {
		t.Fatalf("%q was taken with a key of %d bytes", body, len(key))
	}
}

// writeOut is a body for a transaction, with all bytes in base64.
func writeOut(t *kvstore.Txn) []byte {
	type object map[string]any
	b64 := base64.StdEncoding.EncodeToString
	comparisons := []object{}
	for _, c := range t.If {
		o := object{"key_base64": b64(c.Key)}
		var operator string
		for name, op := range compareOps {
			if op == c.Op {
				operator = name
			}
		}
		switch c.Target {
		case kvstore.CompareModRevision:
			o["mod_revision"] = object{operator: c.Number}
		case kvstore.CompareCreateRevision:
			o["create_revision"] = object{operator: c.Number}
		case kvstore.CompareVersion:
			o["version"] = object{operator: c.Number}
		case kvstore.CompareValue:
			o["value_base64"] = object{operator: b64(c.Value)}
		case kvstore.CompareLease:
			id := ""
			if c.Number != 0 {
				id = kvstore.LeaseID(c.Number).String()
			}
			o["lease"] = object{operator: id}
		case kvstore.CompareExists:
			o["exists"] = c.Number == 1
		}
		comparisons = append(comparisons, o)
	}
	branch := func(ops []kvstore.Op) []object {
		list := []object{}
		for _, op := range ops {
			o := object{}
			bounds := func() {
				o["start_base64"] = b64(op.Key)
				if op.End != nil {
					o["end_base64"] = b64(op.End)
				}
			}
			switch op.Kind {
			case kvstore.OpPut:
				o["key_base64"], o["value_base64"], o["prev"] = b64(op.Key), b64(op.Value), op.WantPrev
				if op.ContentType != "" {
					o["content_type"] = op.ContentType
				}
				if op.TTL != 0 {
					o["ttl"] = op.TTL.String()
				}
				if op.Lease != 0 {
					o["lease"] = op.Lease.String()
				}
				list = append(list, object{"put": o})
			case kvstore.OpGet:
				o["key_base64"] = b64(op.Key)
				list = append(list, object{"get": o})
			case kvstore.OpDelete:
				o["key_base64"], o["prev"] = b64(op.Key), op.WantPrev
				list = append(list, object{"delete": o})
			case kvstore.OpDeleteRange:
				bounds()
				if len(op.Key) == 0 && op.End == nil {
					o["confirm"] = "all"
				}
				list = append(list, object{"delete": o})
			case kvstore.OpRange:
				bounds()
				if op.CountOnly {
					o["count"] = true
				} else {
					o["reverse"], o["keys"] = op.Reverse, op.KeysOnly
				}
				if op.Limit != 0 {
					o["limit"] = op.Limit
				}
				list = append(list, object{"range": o})
			}
		}
		return list
	}
	return must(json.Marshal(object{"if": comparisons, "then": branch(t.Then), "else": branch(t.Else)}))
}

// BenchmarkParseTxn reads the contract's example, and the longest body there is,
// plain and all escapes.
func BenchmarkParseTxn(b *testing.B) {
	const start, end = `{"then":[{"put":{"key":"a","value":"`, `"}}]}`
	for name, body := range map[string]string{
		"contract": `{"if":[{"key":"a","mod_revision":{"eq":40}},{"key":"b","exists":false},{"key":"c","value":{"eq":"x"}}],` +
			`"then":[{"put":{"key":"a","value":"1","ttl":"30s"}},{"get":{"key":"b"}},{"delete":{"prefix":"tmp/"}}],"else":[{"range":{"prefix":"app/","limit":10}}]}`,
		"plain":   start + strings.Repeat("x", maxTxnBytes-len(start)-len(end)) + end,
		"escapes": start + strings.Repeat(`\ud83d\ude00`, (maxTxnBytes-len(start)-len(end))/12) + end,
	} {
		b.Run(name, func(b *testing.B) {
			body := []byte(body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseTxn(body, maxTxnBytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
