package httpapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Page is a part of a list.
type Page[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token,omitempty" doc:"Send it as page_token for the next page; absent on the last one."`
	TotalSize     *int64 `json:"total_size,omitempty" doc:"Present if include_total was asked for."`
}

// ByID names a resource in the path. It is exported because huma passes over what is embedded otherwise.
type ByID struct {
	ID string `path:"id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e01"`
}

// List is a list that is always whole.
type List[T any] struct {
	Items []T `json:"items"`
}

// Paging is how a client asks for a page.
type Paging struct {
	PageSize     int32  `query:"page_size" minimum:"1" maximum:"100" default:"20"`
	PageToken    string `query:"page_token" maxLength:"2048" doc:"next_page_token of the page before, for the same query."`
	IncludeTotal bool   `query:"include_total" doc:"Whether to count the whole list, which costs more."`
}

// Optional is a query parameter of which it matters whether it was sent.
type Optional[T any] struct {
	Value T
	IsSet bool
}

// Schema is that of the value.
func (o Optional[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeOf(o.Value))
}

// Receiver is where huma puts the value.
func (o *Optional[T]) Receiver() reflect.Value { return reflect.ValueOf(o).Elem().Field(0) }

// OnParamSet is how huma tells whether there was one.
func (o *Optional[T]) OnParamSet(isSet bool, _ any) { o.IsSet = isSet }

// pointer is the value as messages have it: nil if it was not sent.
func (o Optional[T]) pointer() *T {
	if !o.IsSet {
		return nil
	}
	return &o.Value
}

// convertAll returns a list that is never null in JSON.
func convertAll[From, To any](from []From, convert func(From) To) []To {
	to := make([]To, 0, len(from))
	for _, f := range from {
		to = append(to, convert(f))
	}
	return to
}
