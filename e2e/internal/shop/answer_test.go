package shop

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const goodProblem = `{"type":"https://shop.example/problems/not_found","title":"Not Found","status":404,"detail":"There is no such order.",
	"instance":"/api/v1/orders/1","code":"not_found","request_id":"r"}`

func answer(status int, contentType, body string) *Answer {
	return &Answer{Status: status, Body: []byte(body), Header: http.Header{"Content-Type": {contentType}, "X-Request-Id": {"r"}}}
}

// TestConventions shows that the checks of every answer do find what they look for.
func TestConventions(t *testing.T) {
	t.Parallel()
	const problem, result = "application/problem+json", "application/json"
	changed := func(old, replacement string) string { return strings.Replace(goodProblem, old, replacement, 1) }
	for name, test := range map[string]struct {
		answer *Answer
		fault  string // "" for none
	}{
		"good problem":        {answer(404, problem, goodProblem), ""},
		"good result":         {answer(200, result, `{"total":{"amount":1,"currency":"EUR"},"created_at":"2026-03-01T12:00:00.5Z","items":[]}`), ""},
		"plain JSON":          {answer(404, result, goodProblem), "an error is"},
		"another status":      {answer(403, problem, goodProblem), "says status 404"},
		"no code":             {answer(404, problem, changed(`"code":"not_found",`, "")), "code"},
		"a code in capitals":  {answer(404, problem, changed(`"code":"not_found"`, `"code":"NotFound"`)), "snake_case"},
		"another request":     {answer(404, problem, changed(`"request_id":"r"`, `"request_id":"s"`)), "request_id"},
		"another instance":    {answer(404, problem, changed("orders/1", "orders/2")), "instance"},
		"SQL":                 {answer(404, problem, changed("no such order", "SQLSTATE 23505")), "SQLSTATE"},
		"a password":          {answer(404, problem, changed("no such order", NewPassword())), passwordMark},
		"nothing named":       {answer(422, problem, strings.NewReplacer("not_found", "validation_failed", "404", "422").Replace(goodProblem)), "nothing is named"},
		"401 without scheme":  {answer(401, problem, changed("404", "401")), "WWW-Authenticate"},
		"503 without time":    {answer(503, problem, changed("404", "503")), "Retry-After"},
		"a fraction":          {answer(200, result, `{"items":[{"price":19.99}]}`), "fraction"},
		"a refund":            {answer(200, result, `{"refunds":[{"amount":{"amount":1,"currency":"EUR"}}]}`), ""},
		"refund, no currency": {answer(200, result, `{"refunds":[{"amount":{"amount":1}}]}`), "amount"},
		"no currency":         {answer(200, result, `{"total":{"amount":1}}`), "amount"},
		"a local time":        {answer(200, result, `{"created_at":"2026-03-01T12:00:00+01:00"}`), "not a time in UTC"},
		"camelCase":           {answer(200, result, `{"createdAt":1}`), "snake_case"},
		"HTML":                {answer(200, "text/html", `{}`), "a result is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.answer.conventions(httptest.NewRequest(http.MethodGet, "http://shop/api/v1/orders/1", nil))
			if test.fault == "" && err != nil || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
				t.Errorf("got %v, want %q", err, test.fault)
			}
		})
	}
}

const document = `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/api/v1/orders/{id}":{"get":{
	"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],
	"responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"object","additionalProperties":false,
	"required":["id"],"properties":{"id":{"type":"string","format":"uuid"}}}}}}}}}}}`

// TestContract shows that an answer which is not as the document says is found.
func TestContract(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write([]byte(document)); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	c, err := readContract(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	const id = `"01a20924-3ef2-713b-a4ce-cec7e3d31ef3"`
	for name, test := range map[string]struct {
		path   string
		answer *Answer
		good   bool
	}{
		"as described":     {"/api/v1/orders/1", answer(200, "application/json", `{"id":`+id+`}`), true},
		"a member missing": {"/api/v1/orders/1", answer(200, "application/json", `{}`), false},
		"a member more":    {"/api/v1/orders/1", answer(200, "application/json", `{"id":`+id+`,"x":1}`), false},
		"a wrong type":     {"/api/v1/orders/1", answer(200, "application/json", `{"id":1}`), false},
		"a wrong format":   {"/api/v1/orders/1", answer(200, "application/json", `{"id":"1"}`), false},
		"another status":   {"/api/v1/orders/1", answer(201, "application/json", `{"id":`+id+`}`), false},
		"another type":     {"/api/v1/orders/1", answer(200, "text/plain", `x`), false},
		"nowhere":          {"/api/v1/nowhere", answer(404, "application/problem+json", goodProblem), true},
		"undocumented":     {"/api/v1/nowhere", answer(200, "application/json", `{}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.check(httptest.NewRequest(http.MethodGet, server.URL+test.path, nil), test.answer); (err == nil) != test.good {
				t.Errorf("got %v", err)
			}
		})
	}
}
