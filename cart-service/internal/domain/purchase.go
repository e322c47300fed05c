package domain

import "time"

// An order is taken out of a cart once, however often it is told. That is remembered of the latest orders of an owner.
const (
	// RememberOrdersFor is longer than anybody goes on telling: an order's job runs until it succeeds once, twice a minute, and
	// no outage lasts a month.
	RememberOrdersFor = 30 * 24 * time.Hour
	// RememberOrders bounds the memory that one owner takes, some 50 kB, at sixteen orders a day for all of that time.
	RememberOrders = 500
)
