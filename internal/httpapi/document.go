package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxJSONDepth is how deep a request's arrays and objects may be nested.
const maxJSONDepth = 16

// readJSON reads the body of a request into v, as decodeJSON does.
func readJSON(r *http.Request, v any) error {
	body, err := readBody(r, maxDocumentBytes, nil)
	if err != nil {
		return err
	}
	return decodeJSON(body, v)
}

// decodeJSON reads exactly one JSON object into v. A member that v does not
// know, or that is there twice in whatever case, is an error: readers disagree
// about which of two counts, and we must not guess.
func decodeJSON(body []byte, v any) error {
	if err := checkJSON(body); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// checkJSON walks the tokens of a document.
func checkJSON(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	first, err := dec.Token()
	if err != nil || first != json.Delim('{') {
		return badJSON("the body must be one JSON object")
	}
	if err := checkObject(dec, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return badJSON("something follows the JSON object")
	}
	return nil
}

func checkObject(dec *json.Decoder, depth int) error {
	seen := make(map[string]struct{})
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return badJSON(err.Error())
		}
		name, _ := token.(string) // Token sees to it
		folded := strings.ToLower(name)
		if _, twice := seen[folded]; twice {
			return badJSON("member " + strconv.Quote(name) + " stands there twice")
		}
		seen[folded] = struct{}{}
		if err := checkValue(dec, depth); err != nil {
			return err
		}
	}
	return closeJSON(dec)
}

func checkValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return badJSON(err.Error())
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxJSONDepth {
		return badJSON("nested too deep")
	}
	if delim == '{' {
		return checkObject(dec, depth)
	}
	for dec.More() {
		if err := checkValue(dec, depth); err != nil {
			return err
		}
	}
	return closeJSON(dec)
}

// closeJSON takes the delimiter that ends an object or array.
func closeJSON(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return badJSON("the body ends early")
	}
	return nil
}

func badJSON(detail string) error { return &fault{cause: errBadJSON, detail: detail} }
