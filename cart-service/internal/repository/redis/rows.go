package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/money"
)

// The fields of a cart's hash; see scripts/prelude.lua.
const (
	versionField   = "v"
	changedField   = "at"
	sealedField    = "to"
	quantityPrefix = "q:"
	addedPrefix    = "a:"
	knownPrefix    = "k:"
)

// added is how a line was when it was added. A release may add fields, but must read what the last one wrote.
type added struct {
	At       int64  `json:"at"` // microseconds
	Price    int64  `json:"price"`
	Currency string `json:"currency"`
}

// known is what is known of a product.
type known struct {
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Image    string `json:"image,omitempty"`
	Price    int64  `json:"price"`
	Currency string `json:"currency"`
	At       int64  `json:"at"` // microseconds
}

func encodeAdded(l domain.Line) (string, error) {
	raw, err := json.Marshal(added{At: l.AddedAt.UnixMicro(), Price: l.AddedPrice.Amount(), Currency: l.AddedPrice.Currency()})
	return string(raw), err
}

func encodeKnown(k domain.Known) (string, error) {
	raw, err := json.Marshal(known{
		SKU: k.SKU, Name: k.Name, Image: k.Image, Price: k.Price.Amount(), Currency: k.Price.Currency(), At: k.At.UnixMicro(),
	})
	return string(raw), err
}

// decode builds the cart of a hash, whose fields are in no order. A sealed one is a user's: its guest has none.
func decode(owner domain.Owner, hash map[string]string) (*domain.Cart, error) {
	if _, sealed := hash[sealedField]; sealed || len(hash) == 0 {
		return domain.NewCart(owner), nil
	}
	s := domain.CartSnapshot{Owner: owner}
	var err error
	if s.Version, err = strconv.ParseInt(hash[versionField], 10, 64); err != nil {
		return nil, fmt.Errorf("decode cart %s: version: %w", owner, err)
	}
	changed, err := strconv.ParseInt(hash[changedField], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("decode cart %s: time of change: %w", owner, err)
	}
	s.ChangedAt = time.UnixMicro(changed).UTC()
	if s.Lines, err = decodeLines(hash); err != nil {
		return nil, fmt.Errorf("decode cart %s: %w", owner, err)
	}
	return domain.RestoreCart(s), nil
}

// decodeLines returns the lines of a hash, in no order.
func decodeLines(hash map[string]string) ([]domain.Line, error) {
	var lines []domain.Line
	for field, value := range hash {
		product, ok := strings.CutPrefix(field, quantityPrefix)
		if !ok {
			continue
		}
		line, err := decodeLine(product, value, hash[addedPrefix+product], hash[knownPrefix+product])
		if err != nil {
			return nil, fmt.Errorf("product %s: %w", product, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func decodeLine(product, quantity, addedJSON, knownJSON string) (domain.Line, error) {
	var (
		l   domain.Line
		a   added
		k   known
		err error
	)
	if l.ProductID, err = uuid.Parse(product); err != nil {
		return l, err
	}
	if l.Quantity, err = strconv.ParseInt(quantity, 10, 64); err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(addedJSON), &a); err != nil {
		return l, fmt.Errorf("how it was added: %w", err)
	}
	if err := json.Unmarshal([]byte(knownJSON), &k); err != nil {
		return l, fmt.Errorf("what is known of it: %w", err)
	}
	l.AddedAt = time.UnixMicro(a.At).UTC()
	if l.AddedPrice, err = money.New(a.Price, a.Currency); err != nil {
		return l, err
	}
	l.Known = domain.Known{SKU: k.SKU, Name: k.Name, Image: k.Image, At: time.UnixMicro(k.At).UTC()}
	if l.Known.Price, err = money.New(k.Price, k.Currency); err != nil {
		return l, err
	}
	return l, nil
}
