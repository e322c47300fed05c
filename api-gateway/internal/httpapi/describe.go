package httpapi

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/api-gateway/internal/authz"
)

var problemType = reflect.TypeFor[Problem]()

// What describe wants to know of an operation, in its Metadata.
const (
	metaCodes   = "codes"   // []string, the particular codes of its problems
	metaExample = "example" // the body of its usual answer, if it is not the usual one of its type
)

// document is what stands in the OpenAPI document beside the operations. It completes each operation that is added.
func document() *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Shop",
			Version: "1",
			Description: "The REST contract of the shop. Money is in integer minor units, times are RFC 3339 in UTC, errors are RFC 9457 " +
				"problems with a stable `code`. `x-authorization` says who may use an operation: `anonymous`, `guest` (signed in, " +
				"or with the token of a cart of one's own, or none yet), `signed_in`, `owner` (signed in, and only what is one's own), `staff` or `admin`. What is somebody else's is answered like what does not exist.",
		},
		Tags: []*huma.Tag{
			{Name: "identity", Description: "Accounts, sessions and the keys that verify access tokens."},
			{Name: "addresses", Description: "The address book of who is signed in."},
			{Name: "users", Description: "The accounts of others, for admins."},
			{Name: "catalogue", Description: "Categories and products."},
			{Name: "stock", Description: "How many there are, for staff."},
			{Name: "cart", Description: "What a customer means to buy."},
			{Name: "orders", Description: "Checkout, payment and what became of it."},
			{Name: "coupons", Description: "What makes orders cheaper, for admins."},
			{Name: "webhooks", Description: "Where the shop's events are sent to, for admins."},
			{Name: "audit", Description: "What does not agree between orders, stock and payments, for admins."},
			{Name: "operations", Description: "For who runs the shop."},
		},
		Components: &huma.Components{
			Schemas:    huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			Parameters: map[string]*huma.Param{"X-Request-ID": requestIDParameter()},
			Headers:    headers(),
			Responses:  make(map[string]*huma.Response),
			Examples:   make(map[string]*huma.Example),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				authz.SecurityScheme:  {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access_token of /auth/login."},
				authz.CartTokenScheme: {Type: "apiKey", In: "header", Name: "X-Cart-Token", Description: "A guest's: the answer to the first write to a cart has it. It is a secret."},
			},
		},
		OnAddOperation: []huma.AddOpFunc{describe},
	}
}

func requestIDParameter() *huma.Param {
	return &huma.Param{
		Name: "X-Request-ID", In: "header",
		Description: "Names the request in the answer, in logs and in traces. Without one, or with another than the pattern allows, the shop makes one.",
		Schema:      &huma.Schema{Type: huma.TypeString, Pattern: saneRequestID.String(), Examples: []any{exampleRequestID}},
	}
}

// headers are the fields of answers.
func headers() map[string]*huma.Header {
	all := make(map[string]*huma.Header)
	for _, h := range []struct{ name, example, description string }{
		{"X-Request-ID", exampleRequestID, "Names this request: the client's X-Request-ID, or one that was made."},
		{"RateLimit", `"default";r=199;t=1`, "What is left of the limit, and the seconds until there is more."},
		{"RateLimit-Policy", `"default";q=200;w=10`, "The limit: so many requests in so many seconds."},
		{"Retry-After", "2", "Seconds to wait before trying again."},
		{"WWW-Authenticate", `Bearer realm="shop"`, "How to say who is asking."},
		{"Location", base + "/orders/" + exampleID, "Where the new resource can be read."},
		{"ETag", `"3"`, "The version of this representation, for If-Match and If-None-Match."},
		{"Cache-Control", publicCaching, "Who may keep this answer, and how long."},
		{"X-Cart-Token", "AZ8Kp0mXd3m3qzvVQn2bZ1yq9q3l0fXlJYk2l6Yv3k9r", "A guest's: the token of the cart, to send from now on. Absent for who is signed in."},
		{"Age", "0", "How old the answer is, in seconds, if it is from the cache. Older than max-age allows: the catalogue can't be asked at the moment, and this is what was known last."},
		{"Cache-Status", "shop; hit", "What the shop's cache did (RFC 9211): `hit`; `fwd=miss` for an answer of this moment; with `detail=stale-if-error` the catalogue can't be asked, and this is what was known last."},
		{"Idempotency-Replayed", "true", "true if this is the answer to an earlier request with the same key; else absent."},
	} {
		all[h.name] = &huma.Header{Description: h.description, Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{h.example}}}
	}
	return all
}

// describe completes the description of an operation: examples, header fields, and every problem that it can answer.
func describe(oapi *huma.OpenAPI, op *huma.Operation) {
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Content {
			content.Example, _ = exampleOf(oapi.Components.Schemas, content.Schema)
		}
	}
	describeAnswers(oapi, op)
	byStatus := make(map[int][]string)
	for _, code := range append(generalCodes(op), op.Metadata[metaCodes].([]string)...) {
		if status := failures[code].status; !slices.Contains(byStatus[status], code) {
			byStatus[status] = append(byStatus[status], code)
		}
	}
	for status, codes := range byStatus {
		if key := strconv.Itoa(status); op.Responses[key] == nil { // else it has another meaning here, such as being not ready
			op.Responses[key] = refusal(oapi, op, status, codes)
		}
	}
	op.Responses["default"] = &huma.Response{
		Description: "Any other problem.", Headers: headerRefs("X-Request-ID"),
		Content: map[string]*huma.MediaType{problemContentType: {Schema: problemSchema(oapi)}},
	}
	op.Parameters = append(op.Parameters, &huma.Param{Ref: "#/components/parameters/X-Request-ID"})
}

// describeAnswers completes the answers that are not problems. What the usual one has in its header, the others have too.
func describeAnswers(oapi *huma.OpenAPI, op *huma.Operation) {
	usual := strconv.Itoa(op.DefaultStatus)
	fields := slices.AppendSeq([]string{"X-Request-ID", "RateLimit", "RateLimit-Policy"}, maps.Keys(op.Responses[usual].Headers))
	for status, response := range op.Responses {
		response.Headers = headerRefs(fields...)
		for _, content := range response.Content {
			if content.Example == nil && status == usual {
				content.Example = op.Metadata[metaExample]
			}
			if content.Example == nil {
				content.Example = examples[oapi.Components.Schemas.TypeFromRef(content.Schema.Ref)]
			}
		}
	}
}

// generalCodes are the codes that an operation can answer because of what it is, whatever it does.
func generalCodes(op *huma.Operation) []string {
	// A request is read before it is known what it asks for: also a body that the operation has no use for must be acceptable.
	codes := append([]string{"malformed_request", "headers_too_large", "body_too_large", "unsupported_media_type", "internal"},
		authz.Table[op.OperationID].Refusals()...)
	if !probePaths[op.Path] {
		codes = append(codes, "rate_limited", "dependency_unavailable", "overloaded", "deadline_exceeded")
	}
	if op.RequestBody != nil {
		codes = append(codes, "request_timeout", "validation_failed")
	}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			codes = append(codes, "not_found")
		case p.In == "query":
			codes = append(codes, "validation_failed")
		case p.Name == "X-Cart-Token":
			codes = append(codes, "validation_failed")
		case p.Name == "If-Match":
			codes = append(codes, "version_mismatch", "validation_failed")
		}
	}
	return codes
}

// refusal describes the problems of one status. Where an operation has only those that all have, it is a shared component.
func refusal(oapi *huma.OpenAPI, op *huma.Operation, status int, codes []string) *huma.Response {
	slices.Sort(codes)
	response := &huma.Response{Headers: headerRefs(refusalFields(op, status)...)}
	content := &huma.MediaType{Schema: problemSchema(oapi), Examples: make(map[string]*huma.Example, len(codes))}
	response.Content = map[string]*huma.MediaType{problemContentType: content}
	lines := make([]string, 0, len(codes))
	for _, code := range codes {
		f := failures[code]
		lines = append(lines, "- `"+code+"`: "+f.detail)
		oapi.Components.Examples[code] = &huma.Example{Summary: http.StatusText(status), Value: f.example(code)}
		content.Examples[code] = &huma.Example{Ref: "#/components/examples/" + code}
	}
	response.Description = strings.Join(lines, "\n")
	if slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(op.Metadata[metaCodes].([]string), code) }) {
		return response
	}
	name := strings.Join(codes, "-or-")
	oapi.Components.Responses[name] = response
	return &huma.Response{Ref: "#/components/responses/" + name}
}

func refusalFields(op *huma.Operation, status int) []string {
	fields := []string{"X-Request-ID", "RateLimit", "RateLimit-Policy"}
	switch status {
	case http.StatusUnauthorized:
		fields = append(fields, "WWW-Authenticate")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		fields = append(fields, "Retry-After")
	case http.StatusPaymentRequired, http.StatusConflict, http.StatusUnprocessableEntity:
		if _, replays := op.Responses[strconv.Itoa(op.DefaultStatus)].Headers["Idempotency-Replayed"]; replays {
			fields = append(fields, "Idempotency-Replayed")
		}
	}
	return fields
}

func headerRefs(names ...string) map[string]*huma.Header {
	refs := make(map[string]*huma.Header, len(names))
	for _, name := range names {
		refs[name] = &huma.Header{Ref: "#/components/headers/" + name}
	}
	return refs
}

func problemSchema(oapi *huma.OpenAPI) *huma.Schema {
	return oapi.Components.Schemas.Schema(problemType, true, "Problem")
}

// exampleOf makes the example of a request of those of its parts: of what is required, and of what has an example itself,
// which is the second result.
func exampleOf(schemas huma.Registry, schema *huma.Schema) (example any, has bool) {
	if len(schema.Examples) > 0 {
		return schema.Examples[0], true
	}
	switch {
	case schema.Ref != "":
		return exampleOf(schemas, schemas.SchemaFromRef(schema.Ref))
	case schema.Type == huma.TypeArray:
		item, has := exampleOf(schemas, schema.Items)
		return []any{item}, has
	case schema.Type == huma.TypeObject:
		object := make(map[string]any, len(schema.Properties))
		for name, property := range schema.Properties {
			part, ok := exampleOf(schemas, property)
			if ok || slices.Contains(schema.Required, name) {
				object[name] = part
			}
			has = has || ok
		}
		return object, has
	default:
		return nil, false
	}
}
