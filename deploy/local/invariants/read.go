package invariants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"shop.example/deploy/local/runner"
)

// ledgerTimeout is plenty for a ledger of a hundred thousand entries.
const ledgerTimeout = 30 * time.Second

// Source is where a shop's state is read.
type Source struct {
	Orders, Products string // URLs of the databases
	Ledger, Key      string // URL of the provider's ledger, and the key to it
}

// Of returns the sources of a described shop; key is the payment provider's.
func Of(d runner.Description, key string) Source {
	s := Source{Orders: d.Databases["orders"], Products: d.Databases["products"], Key: key}
	for _, p := range d.Processes {
		if p.Ledger != "" {
			s.Ledger = p.Ledger
		}
	}
	return s
}

// Read reads the state. The stores are read one after another: only of a shop at rest is it the state of one moment.
func (s Source) Read(ctx context.Context) (State, error) {
	state := State{Orders: map[string]*Order{}, Money: map[string]Money{}, Reservations: map[string]*Reservation{}, Products: map[string]Product{}}
	if err := within(ctx, s.Orders, state.readOrders); err != nil {
		return state, fmt.Errorf("read the orders: %w", err)
	}
	if err := s.readLedger(ctx, state.Money); err != nil {
		return state, fmt.Errorf("read the payment provider's ledger: %w", err)
	}
	if err := within(ctx, s.Products, state.readStock); err != nil {
		return state, fmt.Errorf("read the stock: %w", err)
	}
	return state, nil
}

// InBetween reads what State.InBetween returns, and nothing else.
func (s Source) InBetween(ctx context.Context) ([]Finding, error) {
	state := State{Orders: map[string]*Order{}}
	if err := within(ctx, s.Orders, state.readOrders); err != nil {
		return nil, fmt.Errorf("read the orders: %w", err)
	}
	return state.InBetween(), nil
}

// Audited returns nil once the shop's own auditor has compared everything that happened up to a time, and what it suspected is
// over or an open finding; else what is left.
func (s Source) Audited(ctx context.Context, at time.Time) error {
	return within(ctx, s.Orders, func(ctx context.Context, tx pgx.Tx) error {
		var (
			compared bool
			watched  []string
		)
		err := tx.QueryRow(ctx, `SELECT coalesce((state->>'Until')::timestamptz > $1 AND state->>'Full' IS NULL, false),
			ARRAY(SELECT kind || ' ' || reference || ': ' || detail FROM findings WHERE status = 'suspected') FROM audit_progress`, at).Scan(&compared, &watched)
		switch {
		case err != nil:
			return fmt.Errorf("read how far audits have come: %w", err)
		case !compared:
			return fmt.Errorf("what happened up to %v was not compared yet", at)
		case len(watched) > 0:
			return fmt.Errorf("suspected: %v", watched)
		}
		return nil
	})
}

// within reads in one snapshot of a database.
func within(ctx context.Context, url string, read func(context.Context, pgx.Tx) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return read(ctx, tx)
	})
}

// each scans the rows of a query into targets, and has add take each.
func each(ctx context.Context, tx pgx.Tx, query string, targets []any, add func()) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		add()
		return nil
	})
	return err
}

func (s State) readOrders(ctx context.Context, tx pgx.Tx) error {
	var (
		id, product string
		n           int64
		o           Order
	)
	// What is planned for more than a minute from now is the end of the time to pay.
	err := each(ctx, tx, `
		SELECT o.id::text, o.user_id::text, o.status, o.payment_status, o.payment_method, o.total, o.stock_missing_since IS NOT NULL,
		       j.id IS NOT NULL, j.id IS NOT NULL AND (o.status <> 'pending' OR j.scheduled_at < now() + interval '1 minute'),
		       (SELECT count(*) FROM attempts a WHERE a.id = o.id)
		FROM orders o LEFT JOIN river_job j ON j.id = o.settle_job AND j.state NOT IN ('completed', 'cancelled', 'discarded')`,
		[]any{&id, &o.UserID, &o.Status, &o.Payment, &o.Method, &o.Total, &o.StockMissing, &o.Planned, &o.Soon, &o.Keys}, func() {
			read := o
			read.Lines, read.Restock, read.Kept = map[string]int64{}, map[string]int64{}, map[string]int64{}
			s.Orders[id] = &read
		})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT order_id::text, product_id::text, quantity FROM order_items`, []any{&id, &product, &n}, func() {
		s.Orders[id].Lines[product] += n
	})
	if err != nil {
		return err
	}
	var (
		status   string
		restock  bool
		finished bool
	)
	err = each(ctx, tx, `SELECT order_id::text, status, amount, restock, restocked FROM order_refunds`,
		[]any{&id, &status, &n, &restock, &finished}, func() {
			o := s.Orders[id]
			switch {
			case status == "failed":
				o.FailedRefunds++
			case status == "pending" || restock && !finished:
				o.OpenRefunds++
			}
			if status == "done" {
				o.Refunded += n
			}
		})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `
		SELECT o.id::text, count(*) FROM river_job j JOIN orders o ON o.id::text = j.args->>'order_id'
		WHERE j.kind = 'check_payments' AND j.state NOT IN ('completed', 'cancelled', 'discarded') GROUP BY 1`, []any{&id, &n}, func() {
		s.Orders[id].Checks = int(n)
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `
		SELECT o.id::text, count(*) FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id JOIN orders o ON o.id = e.order_id
		WHERE d.status = 'pending' GROUP BY 1`, []any{&id, &n}, func() {
		s.Orders[id].Deliveries = int(n)
	})
	if err != nil {
		return err
	}
	var early bool
	return each(ctx, tx, `
		SELECT r.order_id::text, i.product_id::text, (back.item->>'Quantity')::bigint, r.restock,
			EXISTS (SELECT FROM order_history h WHERE h.order_id = r.order_id AND h.status = 'cancelled' AND h.at >= r.at)
		FROM order_refunds r CROSS JOIN LATERAL jsonb_array_elements(r.items) AS back(item)
		JOIN order_items i ON i.id = (back.item->>'ItemID')::uuid
		WHERE r.status = 'done'`, []any{&id, &product, &n, &restock, &early}, func() {
		switch o := s.Orders[id]; {
		case restock:
			o.Restock[product] += n
		case early:
			o.Kept[product] += n
		}
	})
}

func (s State) readStock(ctx context.Context, tx pgx.Tx) error {
	var (
		id, product, status string
		n                   int64
		p                   Product
	)
	err := each(ctx, tx, `SELECT order_id::text, status FROM reservations`, []any{&id, &status}, func() {
		s.Reservations[id] = &Reservation{Status: status, Lines: map[string]int64{}, Moved: map[string]int64{}}
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT order_id::text, product_id::text, quantity FROM reservation_lines`, []any{&id, &product, &n}, func() {
		s.Reservations[id].Lines[product] += n
	})
	if err != nil {
		return err
	}
	// What orders have moved bears their ids; deliveries and corrections bear none.
	err = each(ctx, tx, `SELECT reference, product_id::text, -sum(delta)::bigint FROM stock_ledger
		WHERE reference IN (SELECT order_id::text FROM reservations) GROUP BY 1, 2`, []any{&id, &product, &n}, func() {
		s.Reservations[id].Moved[product] += n
	})
	if err != nil {
		return err
	}
	return each(ctx, tx, `SELECT product_id::text, on_hand, reserved,
			coalesce((SELECT sum(delta) FROM stock_ledger l WHERE l.product_id = s.product_id), 0)::bigint FROM stock s`,
		[]any{&product, &p.OnHand, &p.Reserved, &p.Ledger}, func() { s.Products[product] = p })
}

// readLedger replays what moved at the provider.
func (s Source) readLedger(ctx context.Context, into map[string]Money) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Ledger, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.Key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %d", response.StatusCode)
	}
	var ledger struct {
		Entries []struct {
			Type      string `json:"type"`
			Reference string `json:"reference"`
			Amount    int64  `json:"amount"`
			Released  int64  `json:"released"`
			Key       string `json:"key"`
		} `json:"entries"`
	}
	if err := json.NewDecoder(response.Body).Decode(&ledger); err != nil {
		return err
	}
	for _, e := range ledger.Entries {
		m := into[e.Reference]
		switch e.Type {
		case "authorized":
			if e.Key != "" { // a late one was counted when it was pending
				m.Open += e.Amount
			}
		case "pending":
			m.Open += e.Amount
		case "voided":
			m.Open -= e.Amount
		case "captured":
			m.Open -= e.Amount + e.Released
			m.Net += e.Amount
			m.Captures++
		case "refunded":
			m.Net -= e.Amount
		case "declined", "key_closed", "notified": // no money in them
		default:
			return errors.New("the ledger has an entry of an unknown kind: " + e.Type)
		}
		m.MostHeld = max(m.MostHeld, m.Net)
		into[e.Reference] = m
	}
	return nil
}
