package httpapi

import (
	_ "embed"
	"net/http"
	"strconv"
)

// openapiDocument describes this API (OpenAPI 3.1). TestContract holds it and
// the handlers to one another.
//
//go:embed openapi.json
var openapiDocument []byte

// openapi serves GET /v1/openapi.json.
func (h *Handler) openapi(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, 0); err != nil {
		return 0, err
	}
	header := w.Header()
	header["Content-Type"] = jsonType
	header["X-Content-Type-Options"] = nosniff
	header["Content-Length"] = []string{strconv.Itoa(len(openapiDocument))}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(openapiDocument) // an error is the client's loss, and it knows
	}
	return http.StatusOK, nil
}
