package usecase

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// merge adds up what is asked for of one product, as a cart does. first is where each of the merged lines stands in the
// request for the first time.
func merge(lines []Line) (merged []Line, first []int) {
	at := make(map[uuid.UUID]int, len(lines))
	for i, l := range lines {
		if known, ok := at[l.ProductID]; ok {
			merged[known].Quantity += l.Quantity
			continue
		}
		at[l.ProductID] = len(merged)
		merged, first = append(merged, l), append(first, i)
	}
	return merged, first
}

// asAsked makes a refusal that names lines of an order one that names those of the request: where lines were merged, the
// first of them. It is done on the way out, so that what is kept under a key, and what others refuse, is seen to as well.
func asAsked(err error, wished []Line) error {
	var refusal *apperr.Error
	_, first := merge(wished)
	if len(first) == len(wished) || !errors.As(err, &refusal) || len(refusal.Violations) == 0 {
		return err
	}
	asked := *refusal
	asked.Violations = slices.Clone(refusal.Violations)
	for i, v := range asked.Violations {
		asked.Violations[i].Location = locationAsked(v.Location, first)
	}
	return &asked
}

func locationAsked(location string, first []int) string {
	var line int
	if _, err := fmt.Sscanf(location, "items[%d]", &line); err != nil || line < 0 || line >= len(first) {
		return location
	}
	return strings.Replace(location, fmt.Sprintf("[%d]", line), fmt.Sprintf("[%d]", first[line]), 1)
}
