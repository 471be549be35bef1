package client

import (
	"encoding/json"
	"testing"
	"time"
)

// The builder yields the API's JSON.
func TestTxnJSON(t *testing.T) {
	for _, tt := range []struct {
		txn  Txn
		want string
	}{
		{Txn{}, `{}`},
		{
			Txn{
				If:   []Compare{ModRevision("a", Equal, 40), Exists("b", false), Value("c", Equal, []byte("x"))},
				Then: []Op{PutOp("a", []byte("1"), &PutOpOptions{TTL: 30 * time.Second}), GetOp("b"), DeletePrefixOp("tmp/")},
				Else: []Op{RangeOp(&RangeOpOptions{Prefix: "app/", Limit: 10})},
			},
			`{"if":[{"key":"a","mod_revision":{"eq":40}},{"key":"b","exists":false},{"key":"c","value":{"eq":"x"}}],` +
				`"then":[{"put":{"key":"a","value":"1","ttl":"30s"}},{"get":{"key":"b"}},{"delete":{"prefix":"tmp/"}}],` +
				`"else":[{"range":{"prefix":"app/","limit":10}}]}`,
		},
		{
			Txn{If: []Compare{
				CreateRevision("a", NotEqual, 1), Version("a", Greater, 2), ModRevision("a", Less, 0), Version("a", GreaterOrEqual, 3),
				Version("a", LessOrEqual, 4), Lease("a", Equal, 255), Lease("a", Equal, 0), Value("\xff", Equal, []byte("\xfe")), Value("a", Equal, nil),
			}},
			`{"if":[{"key":"a","create_revision":{"ne":1}},{"key":"a","version":{"gt":2}},{"key":"a","mod_revision":{"lt":0}},{"key":"a","version":{"ge":3}},` +
				`{"key":"a","version":{"le":4}},{"key":"a","lease":{"eq":"00000000000000ff"}},{"key":"a","lease":{"eq":""}},{"key_base64":"/w==","value_base64":{"eq":"/g=="}},{"key":"a","value":{"eq":""}}]}`,
		},
		{
			Txn{Then: []Op{
				PutOp("\xff", []byte("\xfe"), &PutOpOptions{ContentType: "a/b", Lease: 1, Prev: true}), PutOp("<&>", nil, nil),
				DeleteOp("a", true), DeleteOp("b", false), DeletePrefixOp("\xff"), DeleteRangeOp("a", "b"), DeleteRangeOp("a", ""), DeleteAllOp(),
				RangeOp(nil), RangeOp(&RangeOpOptions{Start: "a", End: "\xff", Reverse: true, KeysOnly: true}), RangeOp(&RangeOpOptions{CountOnly: true}),
			}},
			`{"then":[{"put":{"key_base64":"/w==","value_base64":"/g==","content_type":"a/b","lease":"0000000000000001","prev":true}},{"put":{"key":"<&>","value":""}},` +
				`{"delete":{"key":"a","prev":true}},{"delete":{"key":"b"}},{"delete":{"prefix_base64":"/w=="}},{"delete":{"start":"a","end":"b"}},{"delete":{"start":"a"}},{"delete":{"prefix":"","confirm":"all"}},` +
				`{"range":{}},{"range":{"start":"a","end_base64":"/w==","reverse":true,"keys":true}},{"range":{"count":true}}]}`,
		},
	} {
		got, err := marshal(tt.txn)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tt.want {
			t.Errorf("\ngot  %s\nwant %s", got, tt.want)
		}
		if plain, err := json.Marshal(tt.txn); err != nil || !json.Valid(plain) {
			t.Errorf("json.Marshal: %s, %v", plain, err)
		}
	}
}

func TestLeaseID(t *testing.T) {
	for _, id := range []LeaseID{1, 0x7f3a, 1<<64 - 1} {
		if got, err := ParseLeaseID(id.String()); err != nil || got != id {
			t.Errorf("%v: got %v, %v", id, got, err)
		}
		var got LeaseID
		b, err := json.Marshal(id)
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || got != id {
			t.Errorf("%v through %s: got %v, %v", id, b, got, err)
		}
	}
	for _, s := range []string{"", "1", "00000000000000000", "000000000000000g", "+00000000000000f"} {
		if id, err := ParseLeaseID(s); err == nil {
			t.Errorf("%q: got %v", s, id)
		}
	}
	for _, s := range []string{`null`, `""`, `0`} {
		id := LeaseID(7)
		if err := json.Unmarshal([]byte(s), &id); err != nil || id != 0 {
			t.Errorf("%s: got %v, %v", s, id, err)
		}
	}
	for _, s := range []string{`1`, `"x"`, `{}`, `"1"`} {
		var id LeaseID
		if err := json.Unmarshal([]byte(s), &id); err == nil {
			t.Errorf("%s: got %v", s, id)
		}
	}
}
