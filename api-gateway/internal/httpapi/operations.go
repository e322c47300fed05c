package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"shop.example/platform/health"
)

// Types whose schemas are named in more than one answer.
var (
	orderType     = reflect.TypeFor[Order]()
	readinessType = reflect.TypeFor[Readiness]()
)

// Liveness says that the process answers.
type Liveness struct {
	Status string `json:"status" enum:"alive"`
}

// Readiness says whether the gateway should be given work, and what it depends on.
type Readiness struct {
	Ready        bool         `json:"ready"`
	Draining     bool         `json:"draining" doc:"true if the process is about to stop."`
	Dependencies []Dependency `json:"dependencies"`
}

// Dependency is what is known of a service or store behind the gateway.
type Dependency health.Status

type livenessOutput struct{ Body Liveness }

type readinessOutput struct {
	Status int
	Body   Readiness
}

func (s *Server) registerOperations() {
	register(s, huma.Operation{
		OperationID: "get-liveness", Method: http.MethodGet, Path: "/healthz", Summary: "Whether the gateway is alive", Tags: []string{"operations"},
	}, func(context.Context, *noInput) (*livenessOutput, error) {
		return &livenessOutput{Body: Liveness{Status: "alive"}}, nil
	})
	schema := s.api.OpenAPI().Components.Schemas.Schema(readinessType, true, "Readiness")
	register(s, huma.Operation{
		OperationID: "get-readiness", Method: http.MethodGet, Path: "/readyz", Summary: "Whether the gateway is ready to serve", Tags: []string{"operations"},
		Description: "It names what the gateway depends on. Without one of these the rest of the shop is still served.",
		Responses: map[string]*huma.Response{"503": {
			Description: "Not ready, or about to stop.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema, Example: exampleUnready}},
		}},
	}, s.readiness)
}

func (s *Server) readiness(context.Context, *noInput) (*readinessOutput, error) {
	out := &readinessOutput{Status: http.StatusOK, Body: Readiness{
		Ready: s.health.Ready(), Draining: s.health.Draining(),
		Dependencies: convertAll(s.health.Report(), func(d health.Status) Dependency { return Dependency(d) }),
	}}
	if !out.Body.Ready {
		out.Status = http.StatusServiceUnavailable
	}
	return out, nil
}

// serveDocument serves the OpenAPI document and the page to read and try it. Both are made once: they don't change while the
// process runs.
func (s *Server) serveDocument() {
	s.router.Get("/openapi.json", written("application/openapi+json", func() ([]byte, error) { return json.Marshal(s.api.OpenAPI()) }))
	s.router.Get("/openapi.yaml", written("application/openapi+yaml", s.api.OpenAPI().YAML))

	docs := v5emb.NewHandlerWithConfig(swgui.Config{Title: "Shop", SwaggerJSON: "/openapi.json", BasePath: "/docs"})
	page := httptest.NewRecorder()
	docs.ServeHTTP(page, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/docs/", http.NoBody))
	policy := pagePolicy(page.Body.Bytes())
	index := static("text/html; charset=utf-8", page.Body.Bytes())
	withPolicy := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		index(w, r)
	}
	s.router.Get("/docs", withPolicy)
	s.router.Get("/docs/", withPolicy)
	for _, asset := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png"} {
		s.router.Get("/docs/"+asset, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=3600")
			docs.ServeHTTP(w, r)
		})
	}
}

// written serves what is written when somebody wants it: nine tenths of the time of New would go into it.
func written(contentType string, write func() ([]byte, error)) http.HandlerFunc {
	once := sync.OnceValues(func() (http.HandlerFunc, error) {
		text, err := write()
		return static(contentType, text), err
	})
	return func(w http.ResponseWriter, r *http.Request) {
		serve, err := once()
		if err != nil {
			writeProblem(w, r, problemOf(fmt.Errorf("write the OpenAPI document: %w", err)))
			return
		}
		serve(w, r)
	}
}

// inlineScript finds the scripts that stand in the page itself.
var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// pagePolicy is the Content-Security-Policy of the docs page: nothing from elsewhere, and of inline scripts only the very
// ones that are in it now. Swagger UI sets styles on elements, which no hash can allow.
func pagePolicy(page []byte) string {
	scripts := []string{"'self'"}
	for _, script := range inlineScript.FindAllSubmatch(bytes.ReplaceAll(page, []byte("\r\n"), []byte("\n")), -1) {
		sum := sha256.Sum256(script[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + strings.Join(scripts, " "),
		"style-src 'self' 'unsafe-inline'",
		"img-src 'self' data:",
		"connect-src 'self'",
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// static serves what was made at the start.
func static(contentType string, body []byte) http.HandlerFunc {
	tag := `"` + digest(body) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "no-cache") // a new release has a new contract
		if (IfNoneMatch{r.Header.Get("If-None-Match")}).matches(tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(body) // the client has gone: there is nobody left to tell
	}
}
