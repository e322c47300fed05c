package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/apperr"
	productv1 "shop.example/proto/product/v1"
)

// maxLine is that of any other body that holds one product.
const maxLine = maxBody

// byteOrderMark stands in front of what some editors write, and means nothing.
const byteOrderMark = "\ufeff"

// line is a line of an import.
type line struct {
	number  int64 // from 1
	text    []byte
	tooLong bool
	// broken is in place of a line if the body can't be read to its end.
	broken bool
}

// lineReader reads the body of an import. It waits for a client that makes pauses, but not forever.
type lineReader struct {
	lines  chan line
	buffer *bufio.Reader
	body   *importBody
	number int64
	err    error // why the body could not be read to its end

	mu         sync.Mutex // for the deadline: after the end, only that of the end holds
	controller *http.ResponseController
	stopped    chan struct{}
}

func newLineReader(body *importBody, controller *http.ResponseController) *lineReader {
	r := &lineReader{lines: make(chan line), body: body, controller: controller, stopped: make(chan struct{})}
	r.buffer = bufio.NewReaderSize(r, 64<<10)
	return r
}

// stop ends the reading. What the client is still sending is dropped for a moment, so that it comes to look for the answer.
func (r *lineReader) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.stopped)
	_ = r.controller.SetReadDeadline(time.Now().Add(drainTimeout))
}

func (r *lineReader) wait(patience time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.stopped:
		return false
	default:
		_ = r.controller.SetReadDeadline(patience) // if it can't be set, the server's holds
		return true
	}
}

// Read reads from the body, with a deadline of its own each time.
func (r *lineReader) Read(p []byte) (int, error) {
	if !r.wait(time.Now().Add(importPatience)) {
		return 0, io.EOF
	}
	n, err := r.body.Read(p)
	if errors.Is(err, io.EOF) {
		r.wait(time.Time{}) // from here on the server itself reads, to see whether the client is still there
	}
	return n, err
}

// readAll sends the lines that are not empty, until there are no more or it is stopped.
func (r *lineReader) readAll() {
	defer func() { _, _ = io.CopyN(io.Discard, r.body.whole, maxDrained) }()
	defer close(r.lines)
	if mark, err := r.buffer.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		_, _ = r.buffer.Discard(len(mark)) // it is in the buffer
	}
	for {
		l, err := r.next()
		if err != nil && !errors.Is(err, io.EOF) {
			r.err = readFailure(err)
			l = line{broken: true} // half a line is none
		}
		if l.broken || l.tooLong || len(l.text) > 0 {
			select {
			case r.lines <- l:
			case <-r.stopped:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// readFailure is why a body can't be read to its end.
func readFailure(err error) error {
	var (
		tooLarge *http.MaxBytesError
		timeout  net.Error
	)
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge(maxImport)
	case errors.As(err, &timeout) && timeout.Timeout():
		return newProblem(http.StatusRequestTimeout, "request_timeout", "The body did not arrive in time.")
	default:
		p := newProblem(http.StatusBadRequest, "malformed_request", "The body could not be read to its end.")
		p.cause = err
		return p
	}
}

// next returns the next line, without its end and without white space around it. With io.EOF, it is the last.
func (r *lineReader) next() (line, error) {
	r.number++
	l := line{number: r.number}
	for {
		part, err := r.buffer.ReadSlice('\n')
		if l.tooLong = l.tooLong || len(l.text)+len(part) > maxLine; l.tooLong {
			l.text = nil
		} else {
			l.text = append(l.text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			l.text = bytes.Trim(l.text, " \t\r\n")
			return l, err
		}
	}
}

// ImportedProduct is a line of an import.
type ImportedProduct struct {
	SKU              string            `json:"sku" minLength:"1" maxLength:"64" doc:"Whose product it is."`
	Slug             *string           `json:"slug,omitempty" minLength:"1" maxLength:"100"`
	Name             *string           `json:"name,omitempty" minLength:"1" maxLength:"200" doc:"A new product needs one."`
	ShortDescription *string           `json:"short_description,omitempty" maxLength:"500"`
	Description      *string           `json:"description,omitempty" maxLength:"20000"`
	Price            *Money            `json:"price,omitempty" doc:"A new product needs one."`
	Discount         *Discount         `json:"discount,omitempty"`
	CategoryIDs      []string          `json:"category_ids,omitempty" format:"uuid" maxItems:"20" uniqueItems:"true"`
	Images           []Image           `json:"images,omitempty" maxItems:"20"`
	Attributes       map[string]string `json:"attributes,omitempty" maxProperties:"50"`
	Status           string            `json:"status,omitempty" enum:"draft,active,archived"`
}

// lineDecoder makes messages of lines, as strictly as bodies are read elsewhere.
type lineDecoder struct {
	schemas huma.Registry
	schema  *huma.Schema
	path    *huma.PathBuffer
	result  huma.ValidateResult
}

func newLineDecoder(schemas huma.Registry) *lineDecoder {
	return &lineDecoder{
		schemas: schemas, schema: schemas.Schema(reflect.TypeFor[ImportedProduct](), true, ""), path: huma.NewPathBuffer(make([]byte, 0, 128), 0),
	}
}

func (d *lineDecoder) entry(l line) entry {
	e := entry{line: l.number}
	if l.tooLong {
		e.problem = apperr.New(apperr.Invalid, "body_too_large", "The line is larger than 1 MiB.")
		return e
	}
	product, err := d.decode(l.text)
	if err != nil {
		e.problem = err
		return e
	}
	product.Line = l.number
	e.product = product
	return e
}

func (d *lineDecoder) decode(text []byte) (*productv1.ImportedProduct, *apperr.Error) {
	var plain any
	if err := unmarshal(text, &plain); err != nil {
		return nil, apperr.New(apperr.Malformed, apperr.Malformed.DefaultReason(), strings.Replace(err.Error(), "The body", "The line", 1))
	}
	d.path.Reset()
	d.result.Reset()
	huma.Validate(d.schemas, d.schema, d.path, huma.ModeWriteToServer, plain, &d.result)
	faults := d.result.Errors
	if object, ok := plain.(map[string]any); ok && len(faults) == 0 {
		if discount, given := object["discount"]; given && discount == nil {
			return nil, invalidLine("discount: an import can't take a discount away")
		}
	}
	var p ImportedProduct
	if len(faults) == 0 {
		if err := json.Unmarshal(text, &p); err != nil { // such as a time that fits the schema and is none
			return nil, invalidLine("expected values of the right type and size")
		}
		return p.proto(), nil
	}
	complaints := make([]string, 0, min(len(faults), maxFieldErrors))
	for _, fault := range faults {
		var detailer huma.ErrorDetailer
		if errors.As(fault, &detailer) && len(complaints) < maxFieldErrors {
			detail := detailer.ErrorDetail()
			f := fieldError(detail.Location, detail.Message)
			complaint := strings.TrimPrefix(strings.TrimLeft(f.Location, ".")+": "+f.Message, ": ")
			if !slices.Contains(complaints, complaint) {
				complaints = append(complaints, complaint)
			}
		}
	}
	slices.Sort(complaints)
	return nil, invalidLine(strings.Join(complaints, "; "))
}

func invalidLine(why string) *apperr.Error {
	return apperr.New(apperr.Invalid, apperr.Invalid.DefaultReason(), why)
}

func (p *ImportedProduct) proto() *productv1.ImportedProduct {
	m := &productv1.ImportedProduct{
		Sku: p.SKU, Slug: p.Slug, Name: p.Name, ShortDescription: p.ShortDescription, Description: p.Description,
		Price: p.Price.proto(), Discount: p.Discount.proto(), Status: productStatus(p.Status),
	}
	if p.CategoryIDs != nil {
		m.CategoryIds = &productv1.CategoryIds{Ids: p.CategoryIDs}
	}
	if p.Images != nil {
		m.Images = &productv1.Images{Images: imagesProto(p.Images)}
	}
	if p.Attributes != nil {
		m.Attributes = &productv1.Attributes{Values: p.Attributes}
	}
	return m
}
