package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	productv1 "shop.example/proto/product/v1"
)

// importer is a product-service that keeps what it is sent: the first time as new, except for SKUs that begin with "bad".
type importer struct {
	mu      sync.Mutex
	batches []*productv1.ImportProductsRequest
	// before, if set, is asked before each batch.
	before func(ctx context.Context, batch int) error
}

func (i *importer) serve(t *testing.T, s *shop) {
	s.on("ImportProducts", func(ctx context.Context) (proto.Message, error) {
		request := asked[*productv1.ImportProductsRequest](t, s, "ImportProducts")
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.before != nil {
			if err := i.before(ctx, len(i.batches)); err != nil {
				return nil, err
			}
		}
		i.batches = append(i.batches, request)
		answer := new(productv1.ImportProductsResponse)
		for _, p := range request.GetProducts() {
			r := &productv1.ImportResult{Line: p.GetLine(), Status: productv1.ImportStatus_IMPORT_STATUS_CREATED, ProductId: productID}
			if strings.HasPrefix(p.GetSku(), "bad") {
				r.Status, r.ProductId, r.Code, r.Detail = productv1.ImportStatus_IMPORT_STATUS_FAILED, "", "slug_taken", "Taken."
			}
			answer.Results = append(answer.Results, r)
		}
		return answer, nil
	})
}

// sizes are those of the batches.
func (i *importer) sizes() []int {
	i.mu.Lock()
	defer i.mu.Unlock()
	sizes := make([]int, len(i.batches))
	for n, b := range i.batches {
		sizes[n] = len(b.GetProducts())
	}
	return sizes
}

// importLines sends a body and returns the results and the summary, nil if there is none.
func (s *shop) importLines(t *testing.T, body io.Reader, headers ...string) ([]ImportResult, *ImportCounts) {
	t.Helper()
	a := s.send(t, "POST", importPath, body, append(headers, "Content-Type: "+mediaLines, "Authorization: Bearer "+s.token(t, auth.Staff))...)
	if a.status != 200 || a.header.Get("Content-Type") != mediaLines {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	return parseImport(t, a.body)
}

func parseImport(t *testing.T, body string) (results []ImportResult, summary *ImportCounts) {
	t.Helper()
	for text := range strings.Lines(body) {
		if summary != nil {
			t.Errorf("after the summary there is %q", text)
		}
		var s struct{ Summary *ImportCounts }
		var r ImportResult
		if err := errors.Join(json.Unmarshal([]byte(text), &s), json.Unmarshal([]byte(text), &r)); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if summary = s.Summary; summary == nil {
			results = append(results, r)
		}
	}
	return results, summary
}

func TestImport(t *testing.T) {
	t.Parallel()
	s, i := setup(t), new(importer)
	i.serve(t, s)
	results, summary := s.importLines(t, strings.NewReader("\ufeff"+strings.Join([]string{
		`{"sku":"A","name":"N","price":{"amount":1,"currency":"EUR"},"discount":{"type":"fixed","value":2},"category_ids":[],"status":"active"}`,
		"  \t",
		` {"sku":"B"} ` + "\r",
		`{"sku":"C","colour":"red"}`,
		`{"name":"N","price":{"amount":1.5}}`,
		`{"sku":"D","sku":"E"}`,
		`{"sku":"F"}{}`,
		"{\"sku\":\"\xff\"}",
		`["sku"]`,
		`null`,
		`{"sku":"G","name":null}`,
		`{"sku":"H","discount":null}`,
		`{"sku":"I","description":"` + strings.Repeat("d", maxLine) + `"}`,
		`{"sku":"J","discount":{"type":"fixed","value":2,"starts_at":"2026-02-31T00:00:00Z"}}`,
		``,
		`{"sku":"bad-1"}`,
		`{"sku":"K"}`, // without an end
	}, "\n")))
	created := func(line int64) ImportResult { return ImportResult{Line: line, Status: lineCreated, ID: productID} }
	failed := func(line int64, code, detail string) ImportResult {
		return ImportResult{Line: line, Status: lineFailed, Code: code, Detail: detail}
	}
	want := []ImportResult{
		created(1), created(3),
		failed(4, "validation_failed", "colour: unexpected property"),
		failed(5, "validation_failed", "price.amount: expected integer; price.currency: is required; sku: is required"),
		failed(6, "malformed_request", "The line is not valid JSON: a name stands twice in one object, at byte 16."),
		failed(7, "malformed_request", "The line is not valid JSON: there is something after its end, at byte 12."),
		failed(8, "malformed_request", "The line is not valid UTF-8."),
		failed(9, "validation_failed", "expected object"),
		failed(10, "validation_failed", "expected object"),
		failed(11, "validation_failed", "name: expected string"),
		failed(12, "validation_failed", "discount: an import can't take a discount away"),
		failed(13, "body_too_large", "The line is larger than 1 MiB."),
		failed(14, "validation_failed", "discount.starts_at: expected string to be RFC 3339 date-time"),
		failed(16, "slug_taken", "Taken."), created(17),
	}
	if diff := cmp.Diff(want, results); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&ImportCounts{Lines: 15, Created: 3, Failed: 12}, summary); diff != "" {
		t.Error(diff)
	}
	first := &productv1.ImportedProduct{
		Line: 1, Sku: "A", Name: new("N"), Price: euro(1), Discount: &productv1.Discount{Type: productv1.DiscountType_DISCOUNT_TYPE_FIXED, Value: 2},
		CategoryIds: new(productv1.CategoryIds), Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
	}
	if diff := cmp.Diff(first, i.batches[0].GetProducts()[0], protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// TestAProductMayBeCalledImport: the address of imports is that of a product, too.
func TestAProductMayBeCalledImport(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetProduct", &productv1.GetProductResponse{Product: &productv1.Product{Id: productID}})
	if a := s.call(t, "GET", importPath, ""); a.status != 200 || a.json["id"] != productID {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestEmptyImport(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, body := range []string{"", "\n\r\n  \n", "\ufeff"} {
		if results, summary := s.importLines(t, strings.NewReader(body)); len(results) > 0 || cmp.Diff(&ImportCounts{}, summary) != "" {
			t.Errorf("%q: %v %v", body, results, summary)
		}
	}
}

// manyLines are n lines of some size each, from number first on.
func manyLines(first, n, size int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `{"sku":"S-%d","name":"N"`, i)
		for left := size; left > 0; left -= 20_000 {
			fmt.Fprintf(&b, `,"description":"%s"`, strings.Repeat("d", min(left, 20_000)))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func TestImportInBatches(t *testing.T) {
	t.Parallel()
	s, i := setup(t), new(importer)
	i.serve(t, s)
	results, summary := s.importLines(t, strings.NewReader(manyLines(1, 1201, 10)), "Accept-Encoding: gzip")
	if len(results) != 1201 || summary == nil || summary.Created != 1201 || summary.Stopped != nil {
		t.Errorf("%d results, %+v", len(results), summary)
	}
	for n, r := range results {
		if r.Line != int64(n+1) {
			t.Fatalf("result %d is of line %d", n, r.Line)
		}
	}
	if sizes := i.sizes(); slices.Max(sizes) != maxBatchLines || len(sizes) > 6 { // 3, unless this machine pauses for long
		t.Errorf("batches of %v", sizes)
	}
	// Large products make small batches.
	i.batches = nil
	s.importLines(t, strings.NewReader(manyLines(1, 300, 20_000)))
	for _, b := range i.batches {
		if size := proto.Size(b); size > 2<<20 {
			t.Errorf("a batch of %d bytes", size)
		}
	}
	if len(i.batches) < 4 {
		t.Errorf("6 MB in batches of %v", i.sizes())
	}
}

// conversation is an import whose body is written while its answer is read.
type conversation struct {
	*io.PipeWriter
	answer chan *http.Response
	cancel context.CancelFunc
}

func (s *shop) converse(t *testing.T) conversation {
	t.Helper()
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+importPath, reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", mediaLines)
	request.Header.Set("Authorization", "Bearer "+s.token(t, auth.Staff))
	c := conversation{writer, make(chan *http.Response, 1), cancel}
	go func() {
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return
		}
		c.answer <- response
		<-ctx.Done()
		response.Body.Close()
	}()
	t.Cleanup(cancel)
	return c
}

// TestImportAnswersAsItGoes: a client that waits for a result before it sends the next line is not left waiting.
func TestImportAnswersAsItGoes(t *testing.T) {
	t.Parallel()
	s, i := setup(t), new(importer)
	i.serve(t, s)
	c := s.converse(t)
	var lines *bufio.Scanner
	for n := 1; n <= 3; n++ {
		if _, err := fmt.Fprintf(c, "{\"sku\":\"S-%d\"}\n", n); err != nil {
			t.Fatal(err)
		}
		if lines == nil {
			response := <-c.answer
			lines = bufio.NewScanner(response.Body)
		}
		if want := fmt.Sprintf(`{"line":%d,"status":"created","id":"%s"}`, n, productID); !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, want %q", lines.Text(), want)
		}
	}
	c.Close()
	if want := `{"summary":{"lines":3,"created":3,"updated":0,"failed":0}}`; !lines.Scan() || lines.Text() != want {
		t.Errorf("got %q, want %q", lines.Text(), want)
	}
}

func TestImportStopsWhereItCant(t *testing.T) {
	t.Parallel()
	s := setup(t)
	fail := func(batch int, err error) *importer {
		i := &importer{before: func(_ context.Context, n int) error {
			if n == batch {
				return err
			}
			return nil
		}}
		i.serve(t, s)
		return i
	}
	fail(0, errDown)
	send := func(body io.Reader) answer {
		t.Helper()
		return s.send(t, "POST", importPath, body, "Content-Type: "+mediaLines, "Authorization: Bearer "+s.token(t, auth.Staff))
	}
	send(strings.NewReader("nonsense\n"+manyLines(1, 600, 10))).mustBeProblem(t, 503, "dependency_unavailable")

	// done is how many lines are: those of the one batch that was taken. On a busy machine it lingers, and is sent before it is full.
	done := func(i *importer) int {
		t.Helper()
		sizes := i.sizes()
		if len(sizes) != 1 || sizes[0] == 0 || sizes[0] > maxBatchLines {
			t.Fatalf("batches of %v were taken", sizes)
		}
		return sizes[0]
	}
	// In HTTP/1.1 and a body that goes on for long.
	for _, rest := range []int{0, 20_000} {
		i := fail(1, errDown)
		results, summary := s.importLines(t, strings.NewReader(manyLines(1, 500, 10)+"\n"+manyLines(502, 400+rest, 10)))
		if summary == nil || summary.Stopped == nil {
			t.Fatalf("%v, %+v", i.sizes(), summary)
		}
		taken := done(i)
		line := func(n int) int64 { // the 501st is empty, and has no result
			if n >= 500 {
				n++
			}
			return int64(n + 1)
		}
		want := ImportStopped{Line: line(taken), Code: "dependency_unavailable", Detail: errDown.Message}
		if *summary.Stopped != want || summary.Created != int64(taken) {
			t.Errorf("%d lines were taken: %+v, stopped %+v", taken, summary, summary.Stopped)
		}
		for n, r := range results[taken:] {
			if r.Status != lineFailed || r.Code != "dependency_unavailable" || r.Line != line(taken+n) {
				t.Fatalf("%+v", r)
			}
		}
		if summary.Failed != int64(len(results)-taken) || summary.Failed == 0 {
			t.Errorf("%+v of %d", summary, len(results))
		}
	}
	if !strings.Contains(s.log.String(), "10.0.0.7") {
		t.Error("the log does not say why")
	}
	// A token that expires on the way, and a service that can't count.
	for want, err := range map[string]error{
		"unauthenticated": apperr.New(apperr.Unauthenticated, "unauthenticated", "Expired."), "internal": errors.New("secret"),
	} {
		i := fail(1, err)
		_, summary := s.importLines(t, strings.NewReader(manyLines(1, 600, 10)))
		if summary.Stopped == nil || summary.Stopped.Code != want || summary.Stopped.Line != int64(done(i)+1) {
			t.Errorf("%s: %+v", want, summary.Stopped)
		}
	}
	s.on("ImportProducts", &productv1.ImportProductsResponse{})
	send(strings.NewReader(`{"sku":"A"}`)).mustBeProblem(t, 500, "internal")
	// A gateway that is about to stop.
	i := &importer{before: func(context.Context, int) error { s.health.Drain(); return nil }}
	i.serve(t, s)
	_, summary := s.importLines(t, strings.NewReader(manyLines(1, 501, 10)))
	if summary.Stopped == nil || summary.Stopped.Line != int64(done(i)+1) || summary.Created != int64(done(i)) {
		t.Errorf("%+v", summary)
	}
}

func TestImportLimits(t *testing.T) {
	t.Parallel()
	s, i := setup(t, func(o *Options) { o.Limiter = nil }), new(importer)
	i.serve(t, s)
	head := "POST " + importPath + " HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer " + s.token(t, auth.Staff) + "\r\n"
	s.raw(t, head+"Content-Length: 104857601\r\n\r\n{").mustBeProblem(t, 413, "body_too_large")
	if a := s.raw(t, head+"Content-Length: 104857601\r\nExpect: 100-continue\r\n\r\n"); a.status != 413 || !strings.Contains(a.body, "100 MiB") {
		t.Errorf("%d %s", a.status, a.body)
	}
	// One that does not say how long it is: what was read counts.
	first := manyLines(1, 500, 10)
	results, summary := s.importLines(t, io.MultiReader(strings.NewReader(first), strings.NewReader(strings.Repeat(strings.Repeat(" ", 1023)+"\n", maxImport>>10))))
	if len(results) != 500 || summary == nil || summary.Stopped == nil || summary.Stopped.Code != "body_too_large" || summary.Stopped.Line != 501 {
		t.Errorf("%d results, %+v", len(results), summary)
	}
	staff := "Authorization: Bearer " + s.token(t, auth.Staff)
	for _, media := range []string{"application/json", "text/plain", mediaLines + "; charset=latin1", "x"} {
		s.call(t, "POST", importPath, "{}", "Content-Type: "+media, staff).mustBeProblem(t, 415, "unsupported_media_type")
	}
	s.call(t, "POST", importPath, "{}", "Content-Type: "+mediaLines, "Content-Encoding: gzip", staff).mustBeProblem(t, 415, "unsupported_media_type")
	// Who may not is told, however much is on its way.
	large := strings.Repeat(" ", 5<<20)
	s.call(t, "POST", importPath, large, "Content-Type: "+mediaLines).mustBeProblem(t, 401, "unauthenticated")
	s.as(t, auth.Customer, "POST", importPath, large, "Content-Type: "+mediaLines).mustBeProblem(t, 403, "permission_denied")
	// Half a body is no import: the line that is cut off is not done.
	i.batches = nil
	a := s.raw(t, head+"Transfer-Encoding: chunked\r\n\r\nc\r\n{\"sku\":\"A\"}\n\r\n5\r\n{\"sku\r\nzz\r\n")
	if len(i.batches) != 0 {
		t.Errorf("%v", i.batches)
	}
	a.mustBeProblem(t, 400, "malformed_request")
}

func TestFewImportsAtOnce(t *testing.T) {
	t.Parallel()
	s, i := setup(t), new(importer)
	i.serve(t, s)
	var running []conversation
	for range maxImports {
		running = append(running, s.converse(t))
	}
	until(t, "all are running", func() bool { return len(s.server.imports) == maxImports })
	s.as(t, auth.Staff, "POST", importPath, "{}", "Content-Type: "+mediaLines).mustBeProblem(t, 503, "overloaded")
	for _, c := range running {
		c.Close()
		response := <-c.answer
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 || !bytes.Contains(body, []byte("summary")) {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	}
	until(t, "none is running", func() bool { return len(s.server.imports) == 0 })
}

// TestImportWithoutClient: whose connection is gone gets no more done.
func TestImportWithoutClient(t *testing.T) {
	t.Parallel()
	s := setup(t)
	entered := make(chan struct{})
	i := &importer{before: func(ctx context.Context, n int) error {
		if n == 1 {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	i.serve(t, s)
	c := s.converse(t)
	if _, err := io.WriteString(c, manyLines(1, 1000, 10)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-entered
	c.cancel()
	until(t, "its place is free", func() bool { return len(s.server.imports) == 0 })
	if sizes := i.sizes(); len(sizes) != 1 {
		t.Errorf("batches of %v", sizes)
	}
	// In the middle of its body.
	i = new(importer)
	i.serve(t, s)
	c = s.converse(t)
	if _, err := io.WriteString(c, manyLines(1, 500, 10)+`{"sku":"half`); err != nil {
		t.Fatal(err)
	}
	<-c.answer
	c.cancel()
	until(t, "its place is free", func() bool { return len(s.server.imports) == 0 })
	if sizes := i.sizes(); len(sizes) != 1 {
		t.Errorf("batches of %v", sizes)
	}
}

func TestImportOverHTTP2(t *testing.T) {
	t.Parallel()
	s, i := setup(t), new(importer)
	i.serve(t, s)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+importPath, strings.NewReader(manyLines(1, 3000, 10)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token(t, auth.Staff))
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.ProtoMajor != 2 {
		t.Fatal(response.Proto, err)
	}
	if results, summary := parseImport(t, string(body)); len(results) != 3000 || summary == nil || summary.Created != 3000 {
		t.Errorf("%d results, %+v", len(results), summary)
	}
}

// TestImportReadFailures: what a client is told of a body that does not come to its end.
func TestImportReadFailures(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"request_timeout": fmt.Errorf("read: %w", os.ErrDeadlineExceeded), "malformed_request": io.ErrUnexpectedEOF, "body_too_large": &http.MaxBytesError{Limit: maxImport},
	} {
		if p := problemOf(readFailure(err)); p.Code != want || p.Status != failures[want].status {
			t.Errorf("%v became %d %s", err, p.Status, p.Code)
		}
	}
}
