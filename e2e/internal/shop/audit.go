package shop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Finding is something that does not agree.
type Finding struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind"`
	OrderID     string     `json:"order_id"`
	Reference   string     `json:"reference"`
	Detail      string     `json:"detail"`
	Status      string     `json:"status"`
	Repairable  bool       `json:"repairable"`
	FirstSeenAt time.Time  `json:"first_seen_at"`
	LastSeenAt  time.Time  `json:"last_seen_at"`
	ResolvedAt  *time.Time `json:"resolved_at"`
}

// WithAudits is the environment of a shop that audits itself all the time. What is under way has 10 s to settle: the queue
// takes 7 s to look at an order by itself.
func WithAudits() map[string]string {
	return map[string]string{"AUDIT_EVERY": "1s", "AUDIT_SETTLE": "10s"}
}

// Findings are those of a state, newest first.
func (s *Shop) Findings(t testing.TB, status string) []Finding {
	t.Helper()
	return Want[Page[Finding]](t, http.StatusOK, s.Admin(t).Get("/audit/findings?page_size=100&status="+status)).Items
}

// Audited waits until everything that has happened up to now was compared, and what was suspected of it is over.
func (s *Shop) Audited(t testing.TB) {
	t.Helper()
	const within = time.Minute // more than to settle, to suspect and to be sure take
	now := time.Now()
	Await(t, within, func() error { return s.Invariants().Audited(t.Context(), now) })
}

// OldFinding puts a finding into the database that is over, and returns its id.
func (s *Shop) OldFinding(t testing.TB) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	s.Plant(t, "orders", `INSERT INTO findings (id, kind, reference, provider, detail, repairable, status, watched, first_seen_at, last_seen_at, resolved_at)
		VALUES ($1, 'order_stuck', $2, '', 'It was so.', true, 'resolved', false, now(), now(), now())`, id, id)
	return id
}

var parameter = regexp.MustCompile(`\$[0-9]+`)

// Plant changes a database past the services, as nothing but a mistake or an old copy would: the statements, which are separated by
// semicolons, one after the other, with the same arguments, all or nothing.
func (s *Shop) Plant(t testing.TB, database, statements string, args ...any) {
	t.Helper()
	pool := map[string]*pgxpool.Pool{"orders": s.orders, "products": s.products}[database]
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for statement := range strings.SplitSeq(statements, ";") {
			var used []any // the database wants to know the type of every argument that it is sent
			numbered := parameter.ReplaceAllStringFunc(statement, func(name string) string {
				n, _ := strconv.Atoi(name[1:])
				used = append(used, args[n-1])
				return fmt.Sprintf("$%d", len(used))
			})
			tag, err := tx.Exec(t.Context(), numbered, used...)
			if err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
			if tag.RowsAffected() == 0 {
				return fmt.Errorf("%s: it changes nothing", statement)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Provider asks the payment provider past the shop, as an operator does there, and returns the id of the payment.
func (s *Shop) Provider(t testing.TB, path, key, body string) (paymentID string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimSuffix(s.ledgerURL, "/ledger")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.ledgerKey)
	request.Header.Set("Idempotency-Key", key)
	request.Header.Set("Content-Type", "application/json")
	response, err := connections.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: %s %s %v", path, response.Status, raw, err)
	}
	var payment struct{ ID string }
	if err := json.Unmarshal(raw, &payment); err != nil {
		t.Fatal(err)
	}
	return payment.ID
}
