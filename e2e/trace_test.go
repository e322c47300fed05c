package e2e

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"shop.example/e2e/internal/shop"
)

// span is what the collector keeps of one.
type span struct {
	service, name     string
	trace, id, parent string
	start, end        time.Time
	attributes        map[string]string
	kind              tracev1.Span_SpanKind
}

// collector receives spans as an OpenTelemetry collector does.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []span
}

// Export takes a batch.
func (c *collector) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		service := attributes(resource.GetResource().GetAttributes())["service.name"]
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{
					service: service, name: s.GetName(), kind: s.GetKind(), attributes: attributes(s.GetAttributes()),
					trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
					start: time.Unix(0, int64(s.GetStartTimeUnixNano())), end: time.Unix(0, int64(s.GetEndTimeUnixNano())),
				})
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func attributes(list []*commonv1.KeyValue) map[string]string {
	m := make(map[string]string, len(list))
	for _, a := range list {
		m[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return m
}

// trace returns all spans of the trace of a request, oldest first.
func (c *collector) trace(requestID string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := ""
	for _, s := range c.spans {
		if s.attributes["request_id"] == requestID {
			id = s.trace
		}
	}
	var spans []span
	for _, s := range c.spans {
		if id != "" && s.trace == id {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start.Compare(b.start) })
	return spans
}

// startCollector listens on a free port until the end of the test.
func startCollector(t *testing.T) (c *collector, url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &collector{}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("collector: %v", err)
		}
	})
	return c, "http://" + listener.Addr().String()
}

var fiveServices = []string{"api-gateway", "user-service", "product-service", "cart-service", "order-service"}

// TestOneCheckoutIsOneTrace: from the REST request to the last statement of the job that goes on with it, because the provider's
// answer got lost.
func TestOneCheckoutIsOneTrace(t *testing.T) {
	t.Parallel()
	collected, url := startCollector(t)
	s := shop.StartFor(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
		"OTEL_BSP_SCHEDULE_DELAY": "200", // ms: a test does not wait for the usual 5 s
	})
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 1)
	requestID := "trace-" + uuid.NewString()
	placed := shop.Want[shop.Order](t, http.StatusAccepted, customer.Post("/orders", shop.ByCard("tok_timeout"), shop.NewKey(), "X-Request-ID: "+requestID))
	if order := customer.Settled(placed.ID); order.Status != "confirmed" {
		t.Fatalf("the order is %s", order.Status)
	}

	var spans []span
	shop.Await(t, 20*time.Second, func() error {
		spans = collected.trace(requestID)
		return complete(spans)
	})
	t.Logf("one checkout, %d spans:\n%s", len(spans), drawing(spans))
	root := rootsOf(spans)[0]
	if root.service != "api-gateway" || root.kind != tracev1.Span_SPAN_KIND_SERVER || !strings.HasPrefix(root.name, "POST") || !strings.Contains(root.name, shop.API+"/orders") {
		t.Errorf("the root is %s %s (%s)", root.service, root.name, root.kind)
	}
	for _, sp := range spans {
		for key, value := range sp.attributes {
			if strings.Contains(value, "tok_timeout") || strings.Contains(value, customer.Token) || strings.Contains(value, shop.Home.Line1) {
				t.Errorf("%s %s tells a secret in %s", sp.service, sp.name, key)
			}
		}
	}

	// The same id finds the checkout in the logs of all five.
	logs := s.Logs()
	for _, service := range fiveServices {
		content, err := os.ReadFile(logs[service])
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, `"trace_id":"`+root.trace+`"`) {
				lines++
				if !strings.Contains(line, `"request_id":"`+requestID+`"`) {
					t.Errorf("%s logs the trace without the request id: %s", service, line)
				}
			}
		}
		if lines == 0 {
			t.Errorf("the log of %s has no line with trace id %s", service, root.trace)
		}
	}
}

// complete returns what is missing for the trace to be one whole tree.
func complete(spans []span) error {
	if len(spans) == 0 {
		return errors.New("there is no trace of the request")
	}
	if roots := rootsOf(spans); len(roots) != 1 {
		return fmt.Errorf("the trace has %d roots:\n%s", len(roots), drawing(spans))
	}
	has := func(what func(span) bool) bool { return slices.ContainsFunc(spans, what) }
	for _, service := range fiveServices {
		if !has(func(s span) bool { return s.service == service }) {
			return fmt.Errorf("no span of %s:\n%s", service, drawing(spans))
		}
	}
	for what, is := range map[string]func(span) bool{
		"SQL of order-service":   func(s span) bool { return s.service == "order-service" && system(s) == "postgresql" },
		"SQL of product-service": func(s span) bool { return s.service == "product-service" && system(s) == "postgresql" },
		"SQL of user-service":    func(s span) bool { return s.service == "user-service" && system(s) == "postgresql" },
		"Redis of cart-service":  func(s span) bool { return s.service == "cart-service" && system(s) == "redis" },
		"call of the provider": func(s span) bool {
			return s.service == "order-service" && s.kind == tracev1.Span_SPAN_KIND_CLIENT && s.attributes["http.request.method"] == http.MethodPost
		},
		"job": func(s span) bool { return s.service == "order-service" && s.name == "job settle_order" },
		"confirmed reservation": func(s span) bool {
			return s.service == "product-service" && strings.Contains(s.name, "ConfirmReservation")
		},
	} {
		if !has(is) {
			return fmt.Errorf("no span of the %s:\n%s", what, drawing(spans))
		}
	}
	return nil
}

// system is the database that a span is about, by either name of the attribute.
func system(s span) string {
	if name := s.attributes["db.system.name"]; name != "" {
		return name
	}
	return s.attributes["db.system"]
}

// rootsOf are the spans whose parent is not there: exactly one in a whole tree.
func rootsOf(spans []span) []span {
	ids := map[string]bool{}
	for _, s := range spans {
		ids[s.id] = true
	}
	var roots []span
	for _, s := range spans {
		if !ids[s.parent] {
			roots = append(roots, s)
		}
	}
	return roots
}

// drawing shows the tree, with the times in milliseconds since its beginning.
func drawing(spans []span) string {
	var b strings.Builder
	begin := spans[0].start
	var draw func(s span, depth int)
	draw = func(s span, depth int) {
		fmt.Fprintf(&b, "%7.1f %6.1f ms  %s%s: %s\n", ms(s.start.Sub(begin)), ms(s.end.Sub(s.start)), strings.Repeat("  ", depth), s.service, s.name)
		for _, child := range spans {
			if child.parent == s.id {
				draw(child, depth+1)
			}
		}
	}
	for _, root := range rootsOf(spans) {
		draw(root, 0)
	}
	return b.String()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
