package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// maxDepth is more than any body of the contract needs, and keeps a body of brackets from using up the stack.
const maxDepth = 32

// maxValues is ten times what the largest body of the contract holds. Decoded, a value takes thirty times the memory of the
// two bytes that it may take in the body.
const maxValues = 10_000

// formats are what operations read and write. The second entry is for +json types, such as that of problems.
var formats = map[string]huma.Format{
	"application/json": {Marshal: marshal, Unmarshal: unmarshal},
	"json":             {Marshal: marshal, Unmarshal: unmarshal},
}

// unmarshal is called twice for each body: for an any that is then held against the schema, and for the operation's type.
// The first call is where encoding/json's leniency ends. Its errors repeat nothing of the body.
func unmarshal(data []byte, v any) error {
	target, ok := v.(*any)
	if !ok {
		return json.Unmarshal(data, v)
	}
	if !utf8.Valid(data) {
		return malformedBody("The body is not valid UTF-8.")
	}
	dec := &strictDecoder{Decoder: json.NewDecoder(bytes.NewReader(data))}
	dec.UseNumber()
	value, err := dec.decode(0)
	if err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return dec.malformed("there is something after its end")
	}
	*target = value
	return nil
}

// malformedBody says what is wrong with a body in a sentence for its sender.
type malformedBody string

func (m malformedBody) Error() string { return string(m) }

// strictDecoder reads one value, and counts what it consists of.
type strictDecoder struct {
	*json.Decoder
	values int
}

func (dec *strictDecoder) malformed(why string) error {
	return malformedBody(fmt.Sprintf("The body is not valid JSON: %s, at byte %d.", why, dec.InputOffset()))
}

// What no schema of the contract takes. It is reported as being of the wrong type.
type (
	// fraction is a number that is no int64.
	fraction string
	// null is null, which huma would take for a field that is left out: a client that means to erase something by it must be
	// told that nothing was.
	null struct{}
)

// nullable are the fields that the contract lets be null, for none: sent back as they were read, nothing is complained about.
// Whoever has to tell null from a field that is left out declares it Nullable.
var nullable = map[string]bool{
	"parent_id": true, "discount": true, "starts_at": true, "ends_at": true,
	"min_subtotal": true, "max_uses": true, "max_uses_per_customer": true,
}

// Nullable is a field of a body that may be left out, and may be null.
type Nullable[T any] struct {
	Value *T // nil if it is null or was not sent
	IsSet bool
}

// Schema is that of the value, or null.
func (n Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	schema := huma.SchemaFromType(r, reflect.TypeFor[T]())
	schema.Nullable = true
	return schema
}

// UnmarshalJSON is not called for what was not sent.
func (n *Nullable[T]) UnmarshalJSON(raw []byte) error {
	n.IsSet = true
	return json.Unmarshal(raw, &n.Value)
}

func (n Nullable[T]) isNull() bool { return n.IsSet && n.Value == nil }

func (n Nullable[T]) orZero() (value T) {
	if n.Value != nil {
		value = *n.Value
	}
	return value
}

// decode reads one value. It refuses what parsers differ about: names that stand twice, and NUL, which PostgreSQL can't keep.
func (dec *strictDecoder) decode(depth int) (any, error) {
	if depth > maxDepth {
		return nil, dec.malformed("it is nested too deeply")
	}
	if dec.values++; dec.values > maxValues {
		return nil, dec.malformed("it holds too many values")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, dec.malformed("it can't be parsed")
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return dec.object(depth)
		}
		return dec.array(depth)
	case json.Number:
		if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
			return n, nil
		}
		return fraction(t), nil
	case string:
		if strings.ContainsRune(t, 0) {
			return nil, dec.malformed("a string contains NUL")
		}
		return t, nil
	case nil:
		return null{}, nil
	default:
		return t, nil // bool
	}
}

func (dec *strictDecoder) object(depth int) (any, error) {
	object := make(map[string]any)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, dec.malformed("it can't be parsed")
		}
		name, ok := token.(string)
		if !ok || strings.ContainsRune(name, 0) {
			return nil, dec.malformed("it can't be parsed")
		}
		if _, twice := object[name]; twice {
			return nil, dec.malformed("a name stands twice in one object")
		}
		value, err := dec.decode(depth + 1)
		if err != nil {
			return nil, err
		}
		if value == (null{}) && nullable[name] {
			value = nil
		}
		object[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, dec.malformed("it can't be parsed")
	}
	return object, nil
}

func (dec *strictDecoder) array(depth int) (any, error) {
	array := []any{}
	for dec.More() {
		value, err := dec.decode(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	if _, err := dec.Token(); err != nil {
		return nil, dec.malformed("it can't be parsed")
	}
	return array, nil
}
