package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	productv1 "shop.example/proto/product/v1"
)

const (
	importPath = base + "/products/import"
	// mediaLines is a JSON value a line.
	mediaLines = "application/x-ndjson"
	// maxImport is the contract's limit for the body of an import, which is never held as a whole.
	maxImport = 100 << 20
	// maxImports bounds what imports take together: one keeps a core of the database busy, and holds a line of 1 MiB, decoded,
	// and a batch of 1.5 MiB, encoded, some 10 MiB at worst.
	maxImports = 2
	// A batch is what product-service does at a time: the most lines that it takes, and less than the 2 MiB of a message. What
	// fits into a line of 1 MiB fits into a batch.
	maxBatchLines = 500
	maxBatchSize  = 3 << 19
	// linger is how long a batch that is not full waits for more lines, from its first one on: a client that sends a line and
	// waits for its result before it sends the next gets it.
	linger = 200 * time.Millisecond
	// importTimeout is as long as an access token lives: product-service looks at it with every batch.
	importTimeout = 15 * time.Minute
	// A client may pause for importPatience while it sends and while it reads.
	importPatience = 30 * time.Second
)

// What becomes of a line.
const (
	lineCreated = "created"
	lineUpdated = "updated"
	lineFailed  = "failed"
)

// ImportResult is what became of a line.
type ImportResult struct {
	Line   int64  `json:"line" doc:"Its number in the body, from 1. Empty lines count, but have no result."`
	Status string `json:"status" enum:"created,updated,failed" doc:"updated, too, if it changes nothing."`
	ID     string `json:"id,omitempty" format:"uuid" doc:"The product's, unless it failed."`
	Code   string `json:"code,omitempty" doc:"Why it failed, as in problems: such as malformed_request, validation_failed, slug_taken or body_too_large."`
	Detail string `json:"detail,omitempty" doc:"Why it failed, for people."`
}

// ImportSummary is the last line of an answer. Without it the answer was broken off.
type ImportSummary struct {
	Summary ImportCounts `json:"summary"`
}

// ImportCounts are the results of an import, counted.
type ImportCounts struct {
	Lines   int64          `json:"lines" doc:"How many results there are."`
	Created int64          `json:"created"`
	Updated int64          `json:"updated"`
	Failed  int64          `json:"failed"`
	Stopped *ImportStopped `json:"stopped,omitempty" doc:"Present if the import ended before the body did."`
}

// ImportStopped says where an import ended early, and why.
type ImportStopped struct {
	Line   int64  `json:"line" doc:"The first line that is not done: those before it are, with the results that were told. Send the rest from here on, or all again: it has the same outcome."`
	Code   string `json:"code" doc:"As in problems: such as dependency_unavailable, unauthenticated (the access token has expired meanwhile), request_timeout or body_too_large."`
	Detail string `json:"detail"`
}

func (s *Server) registerImport() {
	schemas := s.api.OpenAPI().Components.Schemas
	lines := func(example string, types ...reflect.Type) map[string]*huma.MediaType {
		items := make([]*huma.Schema, len(types))
		for i, t := range types {
			items[i] = schemas.Schema(t, true, "")
		}
		item := items[0]
		if len(items) > 1 {
			item = &huma.Schema{OneOf: items}
		}
		return map[string]*huma.MediaType{mediaLines: {
			Schema:  &huma.Schema{Type: huma.TypeString, Description: "A JSON object a line, as x-item-schema describes it.", Examples: []any{example}},
			Example: example,
			// What OpenAPI 3.2 calls itemSchema.
			Extensions: map[string]any{"x-item-schema": item},
		}}
	}
	register(s, huma.Operation{
		OperationID: "import-products", Method: http.MethodPost, Path: importPath, DefaultStatus: http.StatusOK,
		Summary: "Create or change many products", Tags: []string{"catalogue"},
		Description: "The body has a product on each line, at most 100 MiB in all and 1 MiB a line. A new `sku` makes a product and needs `name` " +
			"and `price`; a known one changes what is given and keeps the rest. The answer has a result for each line, in their order and " +
			"as they come, and ends with a line `{\"summary\": …}`. A bad line fails alone. Lines are kept in batches; if one can't be, " +
			"its lines fail and the import ends, and `summary.stopped` says where. If even the first can't, the answer is a problem. An " +
			"import can be repeated, in whole or from any line on, with the same outcome. At most 2 run at a time (503 `overloaded`).",
		RequestBody: &huma.RequestBody{Required: true, Content: lines(exampleImport, reflect.TypeFor[ImportedProduct]())},
		Responses: map[string]*huma.Response{"200": {
			Description: "The results. The status says nothing about them.",
			Content:     lines(exampleImportAnswer, reflect.TypeFor[ImportResult](), reflect.TypeFor[ImportSummary]()),
		}},
		Metadata: map[string]any{metaTimeout: importTimeout},
	}, s.importProducts)
}

// importBody is the body of an import, up to its limit. It is closed by the server.
type importBody struct {
	io.Reader
	whole io.Reader // also what is beyond the limit
	taken bool      // the operation reads it, and drops what it does not want
}

func (b *importBody) Close() error { return nil }

// limitImport keeps to the contract's limit for imports. What becomes of a body that is refused unread is what readBody says
// of one that is too large; only a client that waits for leave to send it sees the answer first.
func limitImport(next http.Handler, w http.ResponseWriter, r *http.Request) {
	body := &importBody{Reader: http.MaxBytesReader(nil, r.Body, maxImport), whole: r.Body}
	if r.ContentLength > maxImport {
		writeProblem(w, r, bodyTooLarge(maxImport))
	} else {
		r.Body = body
		next.ServeHTTP(w, r)
	}
	if !body.taken && r.Header.Get("Expect") == "" {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTimeout))
		_, _ = io.CopyN(io.Discard, body.whole, maxDrained)
	}
}

func (s *Server) importProducts(context.Context, *noInput) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		select {
		case s.imports <- struct{}{}:
			defer func() { <-s.imports }()
		default:
			refuse(s.api, ctx, overloaded())
			return
		}
		r, w := humachi.Unwrap(ctx)
		i := &importing{server: s, huma: ctx, writer: w, controller: http.NewResponseController(w), decoder: newLineDecoder(s.api.OpenAPI().Components.Schemas)}
		// HTTP/1.1 would else read the rest of the body before the first result leaves. Where there is no such thing to switch
		// on, as in HTTP/2, it is always so.
		_ = i.controller.EnableFullDuplex()
		body, ok := r.Body.(*importBody)
		if !ok { // there is none
			body = &importBody{Reader: http.NoBody, whole: http.NoBody}
		}
		body.taken = true
		i.run(ctx.Context(), body)
	}}, nil
}

// importing is an import under way.
type importing struct {
	server     *Server
	huma       huma.Context
	writer     http.ResponseWriter
	controller *http.ResponseController
	decoder    *lineDecoder

	batch   []entry
	size    int  // of the batch's messages
	started bool // the answer has begun
	last    int64
	counts  ImportCounts
}

// entry is a line of a batch: the message that it becomes, or why it fails.
type entry struct {
	line    int64
	product *productv1.ImportedProduct
	problem *apperr.Error
}

// run reads lines and does them in batches until the body ends or something goes wrong.
func (i *importing) run(ctx context.Context, body *importBody) {
	reader := newLineReader(body, i.controller)
	var reading sync.WaitGroup
	reading.Go(reader.readAll)
	err := i.doLines(ctx, reader.lines)
	if err == nil {
		err = reader.err // it was set before the last that came from there
	}
	i.finish(err)
	reader.stop()
	reading.Wait()
}

// doLines does the lines until there are no more. The error is why it ended before that.
func (i *importing) doLines(ctx context.Context, lines <-chan line) error {
	var late <-chan time.Time // for the batch
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			late = nil
			if err := i.send(ctx); err != nil {
				return err
			}
		case l, more := <-lines:
			if !more {
				return i.send(ctx)
			}
			if l.broken {
				return nil // the reader knows why
			}
			i.last = l.number
			e := i.decoder.entry(l)
			size := proto.Size(e.product)
			if i.size+size > maxBatchSize {
				if err := i.send(ctx); err != nil {
					return err
				}
				late = nil
			}
			i.batch, i.size = append(i.batch, e), i.size+size
			if late == nil {
				late = time.After(linger)
			}
			if len(i.batch) == maxBatchLines {
				late = nil
				if err := i.send(ctx); err != nil {
					return err
				}
			}
		}
	}
}

// send has the batch kept, tells the results and begins a new one. If it can't be kept, its lines fail with the error.
func (i *importing) send(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	request := new(productv1.ImportProductsRequest)
	for _, e := range i.batch {
		if e.problem == nil {
			request.Products = append(request.Products, e.product)
		}
	}
	var (
		results []*productv1.ImportResult
		failure error
	)
	if i.server.health.Draining() {
		failure = apperr.New(apperr.Unavailable, apperr.Unavailable.DefaultReason(), "This part of the shop is about to stop. Send the rest in a moment.")
	} else if len(request.GetProducts()) > 0 {
		answer, err := i.server.services.Catalog.ImportProducts(ctx, request)
		results, failure = answer.GetResults(), err
		if err == nil && len(results) != len(request.GetProducts()) {
			failure = errors.New("product-service answers with another number of results")
		}
	}
	if failure != nil && !i.started {
		return failure
	}
	told := make([]ImportResult, len(i.batch))
	for n, e := range i.batch {
		switch {
		case e.problem != nil:
			told[n] = failed(e.line, e.problem)
		case failure != nil:
			p := problemOf(failure)
			told[n] = ImportResult{Line: e.line, Status: lineFailed, Code: p.Code, Detail: p.Detail}
		default:
			told[n], results = resultOf(results[0]), results[1:]
		}
	}
	if err := i.tell(told); err != nil {
		return err
	}
	if failure != nil {
		return failure // finish names the first line of the batch
	}
	i.batch, i.size = i.batch[:0], 0
	return nil
}

func failed(line int64, err *apperr.Error) ImportResult {
	return ImportResult{Line: line, Status: lineFailed, Code: err.Reason, Detail: err.Message}
}

func resultOf(r *productv1.ImportResult) ImportResult {
	result := ImportResult{Line: r.GetLine(), Status: enumName(r.GetStatus(), "IMPORT_STATUS_"), ID: r.GetProductId()}
	if r.GetStatus() == productv1.ImportStatus_IMPORT_STATUS_FAILED {
		result.ID, result.Code, result.Detail = "", r.GetCode(), r.GetDetail()
	}
	return result
}

// tell writes results and sends them on their way.
func (i *importing) tell(results []ImportResult) error {
	values := make([]any, len(results))
	for n, r := range results {
		values[n] = r
		i.counts.Lines++
		switch r.Status {
		case lineCreated:
			i.counts.Created++
		case lineUpdated:
			i.counts.Updated++
		default:
			i.counts.Failed++
		}
	}
	return i.write(values)
}

func (i *importing) write(values []any) error {
	if !i.started {
		i.started = true
		i.writer.Header().Set("Content-Type", mediaLines)
		// Proxies that hold answers back until they are whole are told not to.
		i.writer.Header().Set("X-Accel-Buffering", "no")
		i.writer.WriteHeader(http.StatusOK)
	}
	_ = i.controller.SetWriteDeadline(time.Now().Add(importPatience)) // at worst it is the server's, which is sooner
	buffered := bufio.NewWriter(i.writer)
	encoder := json.NewEncoder(buffered)
	for _, v := range values {
		if err := encoder.Encode(v); err != nil {
			return errClientGone
		}
	}
	if buffered.Flush() != nil || i.controller.Flush() != nil {
		return errClientGone
	}
	return nil
}

// errClientGone says that nobody reads the answer any more.
var errClientGone = errors.New("the client has gone")

// finish ends the answer: with the summary, or with a problem if there was nothing yet.
func (i *importing) finish(err error) {
	var p *Problem
	switch {
	case errors.Is(err, errClientGone):
		return
	case err != nil:
		p = problemOf(err)
		if !i.started {
			refuse(i.server.api, i.huma, p)
			return
		}
		x := exchangeOf(i.huma.Context())
		x.code, x.cause, x.brokenOff = p.Code, err, p.Status >= http.StatusInternalServerError
		i.counts.Stopped = &ImportStopped{Line: i.next(), Code: p.Code, Detail: p.Detail}
	}
	_ = i.write([]any{ImportSummary{Summary: i.counts}}) // the client has gone: there is nobody left to tell
}

// next is the first line that is not done.
func (i *importing) next() int64 {
	if len(i.batch) > 0 {
		return i.batch[0].line
	}
	return i.last + 1
}
