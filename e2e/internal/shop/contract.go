package shop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi/datamodel"
)

// contract is the OpenAPI document that the gateway serves: every answer is held against it.
type contract struct{ validator validator.Validator }

// readContract asks a gateway for its document, which must itself be valid.
func readContract(ctx context.Context, gateway string) (*contract, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway+"/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	response, err := connections.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	// A category has children, which are categories: that ends, for a list may be empty.
	document, err := libopenapi.NewDocumentWithConfiguration(raw, &datamodel.DocumentConfiguration{IgnoreArrayCircularReferences: true})
	if err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	v, errs := validator.NewValidator(document, config.WithFormatAssertions())
	if len(errs) > 0 {
		return nil, fmt.Errorf("openapi.json: %w", errors.Join(errs...))
	}
	if _, faults := v.ValidateDocument(); len(faults) > 0 {
		return nil, fmt.Errorf("openapi.json: %w", faults[0])
	}
	return &contract{v}, nil
}

// check returns what in an answer is not as the document says: its status, its content type or its body.
func (c *contract) check(sent *http.Request, a *Answer) error {
	_, faults := c.validator.ValidateHttpResponse(sent, &http.Response{
		StatusCode: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)), Request: sent,
	})
	var errs []error
	for _, fault := range faults {
		// What no operation answers is not in the document, and must be refused.
		nowhere := fault.IsPathMissingError() || fault.IsOperationMissingError()
		if nowhere && (a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed || a.Status == http.StatusBadRequest) {
			continue
		}
		errs = append(errs, fault)
	}
	return errors.Join(errs...)
}
