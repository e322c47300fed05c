// Package money is amounts of money as integers: minor units of an ISO 4217 currency. There is no float in it, arithmetic
// that would overflow or mix currencies is an error, and rounding is named where it happens.
package money

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"golang.org/x/text/currency"
)

// What arithmetic can fail with.
var (
	ErrOverflow        = errors.New("money: amount out of range")
	ErrCurrencyDiffers = errors.New("money: currencies differ")
)

// Money is an amount of a currency. The zero value is no money at all, of no currency; only New and arithmetic make
// others, so a Money with a currency has a real one.
type Money struct {
	amount   int64
	currency string
}

// New returns amount minor units of a currency, or an error if there is no such currency.
func New(amount int64, code string) (Money, error) {
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return Money{}, fmt.Errorf("money: %q is not an ISO 4217 currency code", code)
	}
	return Money{amount, code}, nil
}

// MustNew is New for codes that stand in the source.
func MustNew(amount int64, code string) Money {
	m, err := New(amount, code)
	if err != nil {
		panic(err)
	}
	return m
}

// Zero returns no money, in the currency of m.
func (m Money) Zero() Money { return Money{0, m.currency} }

// Amount returns the minor units.
func (m Money) Amount() int64 { return m.amount }

// Currency returns the ISO 4217 code, empty for the zero Money.
func (m Money) Currency() string { return m.currency }

// IsZero reports whether there is nothing in it.
func (m Money) IsZero() bool { return m.amount == 0 }

// IsNegative reports whether it is a debt.
func (m Money) IsNegative() bool { return m.amount < 0 }

// Add returns m + n.
func (m Money) Add(n Money) (Money, error) {
	if m.currency != n.currency {
		return Money{}, ErrCurrencyDiffers
	}
	sum := m.amount + n.amount
	if (sum > m.amount) != (n.amount > 0) && n.amount != 0 {
		return Money{}, ErrOverflow
	}
	return Money{sum, m.currency}, nil
}

// Sub returns m - n.
func (m Money) Sub(n Money) (Money, error) {
	if n.amount == math.MinInt64 {
		return Money{}, ErrOverflow
	}
	return m.Add(Money{-n.amount, n.currency})
}

// Mul returns m times n.
func (m Money) Mul(n int64) (Money, error) {
	hi, lo := bits.Mul64(magnitude(m.amount), magnitude(n))
	return m.signed(hi, lo, (m.amount < 0) != (n < 0))
}

// Percent returns p percent of m, rounded half to even: 2.5 becomes 2, 3.5 becomes 4, so that many roundings do not
// drift to one side.
func (m Money) Percent(p int64) (Money, error) {
	hi, lo := bits.Mul64(magnitude(m.amount), magnitude(p))
	if hi >= 100 {
		return Money{}, ErrOverflow
	}
	quotient, remainder := bits.Div64(hi, lo, 100)
	if remainder > 50 || (remainder == 50 && quotient%2 == 1) {
		quotient++ // At most 2^64/100·100, it can't wrap: the product has hi < 100.
	}
	return m.signed(0, quotient, (m.amount < 0) != (p < 0))
}

// Cmp compares two amounts of one currency: negative, zero or positive.
func (m Money) Cmp(n Money) (int, error) {
	if m.currency != n.currency {
		return 0, ErrCurrencyDiffers
	}
	return cmp.Compare(m.amount, n.amount), nil
}

// String returns the minor units and the code, such as "1999 EUR", for logs and tests.
func (m Money) String() string { return fmt.Sprintf("%d %s", m.amount, m.currency) }

// signed builds an amount of m's currency from a 128-bit magnitude and a sign.
func (m Money) signed(hi, lo uint64, negative bool) (Money, error) {
	switch {
	case hi != 0 || lo > math.MaxInt64:
		// The one amount that has no positive counterpart, math.MinInt64, is refused with the rest.
		return Money{}, ErrOverflow
	case negative:
		return Money{-int64(lo), m.currency}, nil
	default:
		return Money{int64(lo), m.currency}, nil
	}
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n) //nolint:gosec // two's complement: this is the magnitude, of the least int64 too
	}
	return uint64(n)
}
