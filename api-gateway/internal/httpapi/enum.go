package httpapi

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// enumName is a value as the contract writes it: ORDER_STATUS_PENDING with its prefix is "pending".
func enumName(e protoreflect.Enum, prefix string) string {
	value := e.Descriptor().Values().ByNumber(e.Number())
	if value == nil {
		return "unknown" // of a newer service
	}
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
}

// enumValue is the inverse; the zero value, unspecified, for an empty name. Names are checked by the schema before.
func enumValue[E ~int32](values map[string]int32, prefix, name string) E {
	return E(values[prefix+strings.ToUpper(name)])
}
