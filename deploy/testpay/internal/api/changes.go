package api

import (
	"net/http"
	"strconv"
	"time"

	"shop.example/deploy/testpay/internal/ledger"
)

// maxPage bounds a page: as many entries as are read in far less than a millisecond under the ledger's lock.
const maxPage = 100

// changedPayments is a page; next_after is absent on the last one.
type changedPayments struct {
	Items     []ledger.Payment `json:"items"`
	NextAfter int64            `json:"next_after,omitempty"`
}

// changes answers the payments that something happened to in a span of time, in the order of the ledger.
func (a *API) changes(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	from, errFrom := time.Parse(time.RFC3339, query.Get("from"))
	to, errTo := time.Parse(time.RFC3339, query.Get("to"))
	if errFrom != nil || errTo != nil {
		return &requestError{http.StatusUnprocessableEntity, ledger.CodeInvalidRequest, "reference is required, or from and to, two times of RFC 3339"}
	}
	var after int64
	if given := query.Get("after"); given != "" {
		var err error
		if after, err = strconv.ParseInt(given, 10, 64); err != nil || after < 0 {
			return &requestError{http.StatusUnprocessableEntity, ledger.CodeInvalidRequest, "after must be what next_after was"}
		}
	}
	payments, next, err := a.ledger.Changes(from, to, after, maxPage)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, changedPayments{payments, next})
	return nil
}
