package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"shop.example/platform/money"
)

func TestNewRefusesWhatIsNoCurrency(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"", "eur", "EURO", "ZZZ", "E R"} {
		if m, err := money.New(1, code); err == nil {
			t.Errorf("New(1, %q) = %v", code, m)
		}
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	t.Parallel()
	eur, usd := money.MustNew(1, "EUR"), money.MustNew(1, "USD")
	if _, err := eur.Add(usd); !errors.Is(err, money.ErrCurrencyDiffers) {
		t.Errorf("Add: %v", err)
	}
	if _, err := eur.Cmp(usd); !errors.Is(err, money.ErrCurrencyDiffers) {
		t.Errorf("Cmp: %v", err)
	}
}

func TestPercentRoundsHalfToEven(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ amount, percent, want int64 }{
		{250, 1, 2}, {350, 1, 4}, {251, 1, 3}, {249, 1, 2}, {-250, 1, -2}, {-350, 1, -4}, {1999, 100, 1999}, {0, 50, 0},
		{math.MaxInt64, 100, math.MaxInt64},
	} {
		got, err := money.MustNew(tc.amount, "EUR").Percent(tc.percent)
		if err != nil || got.Amount() != tc.want {
			t.Errorf("%d%% of %d = %v, %v, want %d", tc.percent, tc.amount, got, err, tc.want)
		}
	}
}

// Arithmetic is checked against big integers: the same result, or an overflow error just where it would not fit.
func TestArithmeticIsExactOrAnError(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1}))
		a, b := edge.Draw(t, "a"), edge.Draw(t, "b")
		m, n := money.MustNew(a, "EUR"), money.MustNew(b, "EUR")
		check := func(op string, got money.Money, err error, want *big.Int) {
			fits := want.IsInt64() && want.Int64() != math.MinInt64
			switch {
			case err == nil && got.Amount() != want.Int64():
				t.Fatalf("%d %s %d = %v, want %v", a, op, b, got, want)
			case err != nil && (fits && !(op == "-" && b == math.MinInt64)):
				t.Fatalf("%d %s %d: %v, want %v", a, op, b, err, want)
			case err == nil && !want.IsInt64():
				t.Fatalf("%d %s %d = %v, want an error", a, op, b, got)
			}
		}
		sum, err := m.Add(n)
		check("+", sum, err, new(big.Int).Add(big.NewInt(a), big.NewInt(b)))
		difference, err := m.Sub(n)
		check("-", difference, err, new(big.Int).Sub(big.NewInt(a), big.NewInt(b)))
		product, err := m.Mul(b)
		check("*", product, err, new(big.Int).Mul(big.NewInt(a), big.NewInt(b)))
	})
}
