// Package redis keeps carts in Redis, alone or a cluster: a hash a cart, changed by scripts only, each of which is one
// atomic step on the keys of one owner.
package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"shop.example/cart-service/internal/domain"
)

// Store keeps carts.
//
// The client must not try commands again by itself (platform's does not): an Add whose answer was lost would count twice.
type Store struct{ client redis.UniversalClient }

// New returns a store on a client.
func New(client redis.UniversalClient) *Store { return &Store{client: client} }

// The braces are a hash tag: all keys of an owner are in one slot of a cluster, so that one script may change them. The
// second key is called for orders because they were all that was told when it got its name.
func cartKey(owner domain.Owner) string   { return "cart:{" + owner.String() + "}" }
func memoryKey(owner domain.Owner) string { return cartKey(owner) + ":orders" }

// Get returns the owner's cart, an empty one if there is none.
func (s *Store) Get(ctx context.Context, owner domain.Owner) (*domain.Cart, error) {
	hash, err := s.client.HGetAll(ctx, cartKey(owner)).Result()
	if err != nil {
		return nil, failure(ctx, "get cart", err)
	}
	return decode(owner, hash)
}

// Remember keeps what is known of the products that are in the cart.
func (s *Store) Remember(ctx context.Context, owner domain.Owner, known map[uuid.UUID]domain.Known) error {
	args := make([]any, 0, 2*len(known))
	for id, k := range known {
		raw, err := encodeKnown(k)
		if err != nil {
			return fmt.Errorf("remember product %s: %w", id, err)
		}
		args = append(args, id.String(), raw)
	}
	// No time: it is no change of the cart.
	_, err := s.run(ctx, rememberScript, owner, nil, time.Time{}, args...)
	return err
}

// Add puts more of a product into the cart.
func (s *Store) Add(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error) {
	return s.put(ctx, addScript, owner, line, version)
}

// Set makes the quantity of a product what the line says.
func (s *Store) Set(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error) {
	return s.put(ctx, setScript, owner, line, version)
}

// Remove takes a product out of the cart.
func (s *Store) Remove(ctx context.Context, owner domain.Owner, productID uuid.UUID, version *int64, now time.Time) (*domain.Cart, error) {
	return s.run(ctx, removeScript, owner, version, now, productID.String())
}

// Clear takes everything out of the cart.
func (s *Store) Clear(ctx context.Context, owner domain.Owner, version *int64, now time.Time) error {
	_, err := s.run(ctx, clearScript, owner, version, now)
	return err
}

// RemovePurchased takes out what was bought, once an order.
func (s *Store) RemovePurchased(ctx context.Context, owner domain.Owner, orderID uuid.UUID, lines []domain.PurchasedLine, now time.Time) error {
	args := make([]any, 0, 2+2*len(lines))
	args = append(args, orderID.String(), forgotten(now))
	for _, l := range lines {
		args = append(args, l.ProductID.String(), l.Quantity)
	}
	_, err := s.run(ctx, removePurchasedScript, owner, nil, now, args...)
	return err
}

func (s *Store) put(ctx context.Context, script *redis.Script, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error) {
	added, err := encodeAdded(line)
	if err != nil {
		return nil, fmt.Errorf("put product %s: %w", line.ProductID, err)
	}
	known, err := encodeKnown(line.Known)
	if err != nil {
		return nil, fmt.Errorf("put product %s: %w", line.ProductID, err)
	}
	return s.run(ctx, script, owner, version, line.AddedAt, line.ProductID.String(), line.Quantity, added, known)
}

// forgotten is the time up to which is forgotten what was told.
func forgotten(now time.Time) int64 { return now.Add(-domain.RememberFor).UnixMicro() }

// run runs a script and returns the cart that it answers.
func (s *Store) run(ctx context.Context, script *redis.Script, owner domain.Owner, version *int64, now time.Time, args ...any) (*domain.Cart, error) {
	hash, err := s.eval(ctx, script, owner, version, now, args...)
	if err != nil {
		return nil, err
	}
	return decode(owner, hash)
}

// eval runs a script, whose answer is an outcome and, if it is asked for, the hash as it is afterwards.
func (s *Store) eval(ctx context.Context, script *redis.Script, owner domain.Owner, version *int64, now time.Time, args ...any) (map[string]string, error) {
	seen := ""
	if version != nil {
		seen = strconv.FormatInt(*version, 10)
	}
	keys := []string{cartKey(owner), memoryKey(owner)}
	answer, err := script.Run(ctx, s.client, keys, append([]any{seen, now.UnixMicro()}, args...)...).Slice()
	if err != nil {
		return nil, failure(ctx, "change cart", err)
	}
	outcome, hash, err := parseAnswer(answer)
	if err != nil {
		return nil, fmt.Errorf("change cart %s: %w", owner, err)
	}
	refusal, ok := outcomes[outcome]
	if !ok {
		return nil, fmt.Errorf("change cart %s: unknown outcome %q", owner, outcome)
	}
	return hash, refusal
}

// parseAnswer reads what answer() in scripts/prelude.lua returns.
func parseAnswer(answer []any) (outcome string, hash map[string]string, err error) {
	if len(answer) != 2 {
		return "", nil, fmt.Errorf("a script answered %d values", len(answer))
	}
	outcome, isText := answer[0].(string)
	pairs, isList := answer[1].([]any)
	if !isText || !isList || len(pairs)%2 != 0 {
		return "", nil, fmt.Errorf("a script answered %T, %T", answer[0], answer[1])
	}
	hash = make(map[string]string, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		field, fieldOK := pairs[i].(string)
		value, valueOK := pairs[i+1].(string)
		if !fieldOK || !valueOK {
			return "", nil, fmt.Errorf("a script answered a field of %T, %T", pairs[i], pairs[i+1])
		}
		hash[field] = value
	}
	return outcome, hash, nil
}
