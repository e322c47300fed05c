package domain

import "time"

// An order is taken out of a cart once, and a guest's cart is put into one once, however often it is told. That is
// remembered of the latest of both of an owner.
const (
	// RememberFor is longer than anybody goes on telling: an order's job runs until it succeeds once, twice a minute, and no
	// outage lasts a month; and than a guest's cart is kept that waits to be merged, so that it can't come in twice. The day
	// is more than any two clocks differ by.
	RememberFor = Lifetime + 24*time.Hour
	// Remember bounds the memory that one owner takes, some 50 kB, at sixteen a day for all of that time.
	Remember = 500
)
