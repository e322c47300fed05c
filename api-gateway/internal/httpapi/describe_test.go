package httpapi

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/api-gateway/internal/authz"
	"shop.example/platform/auth"
)

// operationsOf returns the operations of a document by method and path.
func operationsOf(oapi *huma.OpenAPI) map[string]*huma.Operation {
	all := make(map[string]*huma.Operation)
	for path, item := range oapi.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				all[method+" "+path] = op
			}
		}
	}
	return all
}

// resolve follows the reference to a shared response.
func resolve(oapi *huma.OpenAPI, r *huma.Response) *huma.Response {
	if r != nil && r.Ref != "" {
		return oapi.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
	}
	return r
}

func newDocument(t *testing.T) *huma.OpenAPI {
	t.Helper()
	s, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s.api.OpenAPI()
}

// misfit returns why an example is not one of its schema.
func misfit(oapi *huma.OpenAPI, schema *huma.Schema, mode huma.ValidateMode, example any) []string {
	if example == nil {
		return []string{"there is no example"}
	}
	raw, err := json.Marshal(example)
	if err != nil {
		return []string{err.Error()}
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		return []string{err.Error()}
	}
	result := new(huma.ValidateResult)
	huma.Validate(oapi.Components.Schemas, schema, huma.NewPathBuffer(nil, 0), mode, plain, result)
	var faults []string
	for _, err := range result.Errors {
		faults = append(faults, err.Error())
	}
	return faults
}

// gaps returns what the description of an operation lacks.
func gaps(oapi *huma.OpenAPI, method string, op *huma.Operation) (faults []string) {
	add := func(format string, arguments ...any) { faults = append(faults, fmt.Sprintf(format, arguments...)) }
	if op.Summary == "" || len(op.Tags) == 0 || op.OperationID == "" {
		add("no summary, tag or id")
	}
	// Who may use it.
	rule, security := op.Extensions["x-authorization"], len(op.Security) > 0
	var table huma.Operation
	authz.Table[op.OperationID].Document(&table)
	if rule != table.Extensions["x-authorization"] || security != (rule != "anonymous") || security != (len(table.Security) > 0) {
		add("x-authorization %v, security %v: the table says %v", rule, op.Security, table.Extensions["x-authorization"])
	}
	// What it can refuse.
	want := []int{400, 413, 415, 431, 500}
	if security {
		want = append(want, 401)
	}
	if rule == "staff" || rule == "admin" {
		want = append(want, 403)
	}
	if strings.HasPrefix(op.Path, base) {
		want = append(want, 429, 503, 504)
	}
	if op.RequestBody != nil {
		want = append(want, 408, 422)
	}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			want = append(want, 404)
		case p.In == "query":
			want = append(want, 422)
		case p.Name == "If-Match":
			want = append(want, 412)
		}
	}
	for _, status := range want {
		if op.Responses[strconv.Itoa(status)] == nil {
			add("it can answer %d", status)
		}
	}
	if !slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Ref == "#/components/parameters/X-Request-ID" }) {
		add("the parameter X-Request-ID is missing")
	}
	// What is sent.
	if op.RequestBody != nil {
		for media, content := range op.RequestBody.Content {
			for _, fault := range misfit(oapi, content.Schema, huma.ModeWriteToServer, content.Example) {
				add("request, %s: %s", media, fault)
			}
		}
	}
	// What is answered.
	for status, response := range op.Responses {
		faults = append(faults, gapsOfAnswer(oapi, status, resolve(oapi, response))...)
	}
	if method == http.MethodPost && op.DefaultStatus == http.StatusCreated && op.OperationID != "register" && op.OperationID != "adjust-stock" &&
		op.Responses["201"].Headers["Location"] == nil {
		add("201 without Location")
	}
	return faults
}

func gapsOfAnswer(oapi *huma.OpenAPI, status string, response *huma.Response) (faults []string) {
	add := func(format string, arguments ...any) {
		faults = append(faults, status+": "+fmt.Sprintf(format, arguments...))
	}
	if response == nil {
		return []string{status + ": it leads nowhere"}
	}
	fields := []string{"X-Request-ID"}
	if status != "default" {
		fields = append(fields, "RateLimit", "RateLimit-Policy")
	}
	for media, content := range response.Content {
		if media == problemContentType {
			faults = append(faults, gapsOfProblem(oapi, status, content)...)
			continue
		}
		for _, fault := range misfit(oapi, content.Schema, huma.ModeReadFromServer, content.Example) {
			add("%s", fault)
		}
	}
	if response.Content[problemContentType] != nil {
		switch status {
		case "401":
			fields = append(fields, "WWW-Authenticate")
		case "429", "503":
			fields = append(fields, "Retry-After")
		}
	}
	for _, name := range fields {
		if response.Headers[name] == nil {
			add("the field %s is missing", name)
		}
	}
	for name, header := range response.Headers {
		if header.Ref != "#/components/headers/"+name || oapi.Components.Headers[name] == nil {
			add("the field %s is not described", name)
		}
	}
	return faults
}

func gapsOfProblem(oapi *huma.OpenAPI, status string, content *huma.MediaType) (faults []string) {
	if status != "default" && len(content.Examples) == 0 {
		faults = append(faults, status+": no code is named")
	}
	for code := range content.Examples {
		example := oapi.Components.Examples[code]
		if example == nil {
			faults = append(faults, status+": "+code+" has no example")
			continue
		}
		for _, fault := range misfit(oapi, content.Schema, huma.ModeReadFromServer, example.Value) {
			faults = append(faults, status+": "+code+": "+fault)
		}
		if p, ok := example.Value.(*Problem); !ok || strconv.Itoa(p.Status) != status || p.Code != code {
			faults = append(faults, status+": the example of "+code+" is of something else")
		}
	}
	return faults
}

func TestDocumentIsComplete(t *testing.T) {
	t.Parallel()
	oapi := newDocument(t)
	operations := operationsOf(oapi)
	for name, op := range operations {
		method, _, _ := strings.Cut(name, " ")
		for _, fault := range gaps(oapi, method, op) {
			t.Errorf("%s: %s", op.OperationID, fault)
		}
	}
	if len(operations) != len(authz.Table) {
		t.Errorf("%d operations are described, %d are in the table", len(operations), len(authz.Table))
	}
	// OpenAPI forbids two paths that differ in the names of their parameters only.
	shapes := make(map[string]string)
	for path := range oapi.Paths {
		shape := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "{}")
		if other, taken := shapes[shape]; taken {
			t.Errorf("%s and %s are the same path", path, other)
		}
		shapes[shape] = path
	}
	for code, example := range oapi.Components.Examples {
		if _, ok := failures[code]; !ok || example.Summary == "" {
			t.Errorf("the example %s is of no problem", code)
		}
	}
	for code, f := range failures {
		if oapi.Components.Examples[code] == nil {
			t.Errorf("no operation answers %d %s", f.status, code)
		}
	}
}

// TestGapsAreFound breaks the description in every way that the test above is there to find.
func TestGapsAreFound(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*huma.OpenAPI, *huma.Operation){
		"no request example": func(_ *huma.OpenAPI, op *huma.Operation) { op.RequestBody.Content["application/json"].Example = nil },
		"wrong request": func(_ *huma.OpenAPI, op *huma.Operation) {
			op.RequestBody.Content["application/json"].Example = map[string]any{"status": 1}
		},
		"unknown field": func(_ *huma.OpenAPI, op *huma.Operation) {
			op.RequestBody.Content["application/json"].Example = map[string]any{"x": 1}
		},
		"no answer's example": func(_ *huma.OpenAPI, op *huma.Operation) {
			op.Responses["200"].Content["application/json"].Example = nil
		},
		"wrong answer": func(_ *huma.OpenAPI, op *huma.Operation) {
			op.Responses["200"].Content["application/json"].Example = User{Role: "root"}
		},
		"no 400":             func(_ *huma.OpenAPI, op *huma.Operation) { delete(op.Responses, "400") },
		"no 401":             func(_ *huma.OpenAPI, op *huma.Operation) { delete(op.Responses, "401") },
		"no 403":             func(_ *huma.OpenAPI, op *huma.Operation) { delete(op.Responses, "403") },
		"no 404":             func(_ *huma.OpenAPI, op *huma.Operation) { delete(op.Responses, "404") },
		"no 422":             func(_ *huma.OpenAPI, op *huma.Operation) { delete(op.Responses, "422") },
		"no 429":             func(_ *huma.OpenAPI, op *huma.Operation) { delete(op.Responses, "429") },
		"no shared response": func(oapi *huma.OpenAPI, _ *huma.Operation) { delete(oapi.Components.Responses, "not_found") },
		"no Retry-After": func(oapi *huma.OpenAPI, _ *huma.Operation) {
			delete(oapi.Components.Responses["rate_limited"].Headers, "Retry-After")
		},
		"no example of code": func(oapi *huma.OpenAPI, _ *huma.Operation) { delete(oapi.Components.Examples, "last_admin") },
		"no code": func(_ *huma.OpenAPI, op *huma.Operation) {
			op.Responses["409"].Content[problemContentType].Examples = nil
		},
		"undescribed field": func(oapi *huma.OpenAPI, _ *huma.Operation) { delete(oapi.Components.Headers, "RateLimit") },
		"another rule":      func(_ *huma.OpenAPI, op *huma.Operation) { op.Extensions["x-authorization"] = "staff" },
		"no security":       func(_ *huma.OpenAPI, op *huma.Operation) { op.Security = nil },
		"no X-Request-ID":   func(_ *huma.OpenAPI, op *huma.Operation) { op.Parameters = op.Parameters[:len(op.Parameters)-1] },
		"no summary":        func(_ *huma.OpenAPI, op *huma.Operation) { op.Summary = "" },
		"no If-Match refusal": func(_ *huma.OpenAPI, op *huma.Operation) {
			op.Parameters = append(op.Parameters, &huma.Param{Name: "If-Match", In: "header"})
		},
	} {
		oapi := newDocument(t)
		op := oapi.Paths[base+"/users/{id}"].Patch
		change(oapi, op)
		if len(gaps(oapi, http.MethodPatch, op)) == 0 {
			t.Errorf("%s: nothing is found", name)
		}
	}
}

// TestExamplesAreTaken sends the examples of the document: none may be refused for its form. Behind the gateway nobody
// answers, which is a 500.
func TestExamplesAreTaken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	sent := 0
	for name, op := range operationsOf(newDocument(t)) {
		method, path, _ := strings.Cut(name, " ")
		var (
			body    string
			headers []string
		)
		if op.RequestBody != nil {
			if lines := op.RequestBody.Content[mediaLines]; lines != nil {
				body, headers = lines.Example.(string), []string{"Content-Type: " + mediaLines}
			} else {
				raw, err := json.Marshal(op.RequestBody.Content[mediaJSON].Example)
				if err != nil {
					t.Fatal(err)
				}
				body = string(raw)
			}
		}
		query := "?"
		for _, p := range op.Parameters {
			if p.Schema == nil {
				continue
			}
			var example string
			if len(p.Schema.Examples) > 0 {
				example = fmt.Sprint(p.Schema.Examples[0])
			}
			switch {
			case p.In == "path":
				if example == "" {
					t.Errorf("%s: the path's %s has no example", op.OperationID, p.Name)
				}
				path = strings.Replace(path, "{"+p.Name+"}", example, 1)
			case p.In == "query" && example != "":
				query += p.Name + "=" + example + "&"
			case p.In == "header" && example != "":
				headers = append(headers, p.Name+": "+example)
			}
		}
		if !strings.HasPrefix(path, base) {
			continue // it needs no service
		}
		sent++
		if a := s.as(t, auth.Admin, method, path+strings.TrimRight(query, "?&"), body, headers...); a.status != http.StatusInternalServerError {
			t.Errorf("%s: the example is answered %d %s", op.OperationID, a.status, a.body)
		}
	}
	if sent < 42 {
		t.Errorf("only %d examples were sent", sent)
	}
}
