package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"kvd/internal/kvstore"
)

// Header values that are always the same. net/http does not write to them.
var (
	nosniff     = []string{"nosniff"}
	sandbox     = []string{"sandbox"}
	octetStream = []string{octets}
	jsonType    = []string{"application/json"}
	varyAccept  = []string{"Accept"}
)

const octets = "application/octet-stream"

// headerBuf holds the header values of one answer: one allocation for all the
// slices that http.Header wants, one for all the digits.
type headerBuf struct {
	vals [4]string
	text string
}

// keyHeader sets the ETag and the store's revision, and the length of the body
// when it is not negative.
func keyHeader(header http.Header, mod, revision uint64, length int) {
	hb := new(headerBuf)
	var digits [3 * 20]byte
	b := append(digits[:0], '"')
	b = strconv.AppendUint(b, mod, 10)
	b = append(b, '"')
	tagEnd := len(b)
	b = strconv.AppendUint(b, revision, 10)
	revEnd := len(b)
	if length >= 0 {
		b = strconv.AppendInt(b, int64(length), 10)
	}
	hb.text = string(b)
	if mod != 0 {
		hb.vals[0] = hb.text[:tagEnd]
		header["Etag"] = hb.vals[0:1:1]
	}
	hb.vals[1] = hb.text[tagEnd:revEnd]
	header["Kvd-Revision"] = hb.vals[1:2:2]
	if length >= 0 {
		hb.vals[2] = hb.text[revEnd:]
		header["Content-Length"] = hb.vals[2:3:3]
	}
}

// writeValue answers with the value of an item as it was stored.
func writeValue(w http.ResponseWriter, r *http.Request, item *kvstore.Item, revision uint64) int {
	header := w.Header()
	keyHeader(header, item.ModRevision, revision, len(item.Value))
	if item.ContentType == "" {
		header["Content-Type"] = octetStream
	} else {
		header["Content-Type"] = []string{item.ContentType}
	}
	// A value may be a web page of anybody's making: it must not run with this
	// origin's rights.
	header["X-Content-Type-Options"] = nosniff
	header["Content-Security-Policy"] = sandbox
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(item.Value)
	}
	return http.StatusOK
}

// storedContentType is the type to store for a request: "" for those that say
// nothing about the value, of which curl's default for -d is one.
func storedContentType(header http.Header) (string, error) {
	values := header["Content-Type"]
	if len(values) == 0 {
		return "", nil
	}
	ct := values[0]
	if len(values) > 1 || len(ct) > kvstore.MaxContentTypeBytes {
		return "", &fault{cause: errBadParameter, detail: "one Content-Type, of at most " + strconv.Itoa(kvstore.MaxContentTypeBytes) + " bytes, is taken", parameter: "Content-Type"}
	}
	return plainType(ct), nil
}

// plainType is "" for a type that says nothing about a value, else the type.
func plainType(ct string) string {
	media, _, _ := strings.Cut(ct, ";")
	media = strings.TrimSpace(media)
	if media == "" || strings.EqualFold(media, "application/x-www-form-urlencoded") || strings.EqualFold(ct, octets) {
		return ""
	}
	return ct
}

// wantsJSON tells whether an Accept header asks for the JSON form of a value: it
// names application/json and likes it better than whatever there is. A header
// that takes anything, as programs send it without thinking, gets the value.
func wantsJSON(accept []string) bool {
	if len(accept) == 0 || len(accept) == 1 && accept[0] == "*/*" {
		return false
	}
	return liking(accept, "application/json") > liking(accept, "*/*")
}

// wantsNDJSON tells whether an Accept header asks for a listing in lines and
// not in pages.
func wantsNDJSON(accept []string) bool {
	lines := liking(accept, "application/x-ndjson")
	return lines > liking(accept, "*/*") && lines > liking(accept, "application/json")
}

// liking is the highest quality that an Accept header gives a media range by
// its name; 0: it is not named.
func liking(accept []string, name string) float64 {
	highest := 0.0
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			media, rest, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), name) {
				highest = max(highest, quality(rest))
			}
		}
	}
	return highest
}

// quality reads the q of a media range's parameters.
func quality(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
