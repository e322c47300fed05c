package domain

import "time"

// A guest's cart becomes part of a user's when the guest signs in. The two are in different places, in a cluster on different
// servers, which nothing changes in one step. So it goes in three, each of which can be done again, and after a crash at any
// point whoever asks again goes on:
//
//  1. The guest's cart is sealed for the user. From then on nothing changes it, and no other user can have it; to the guest
//     it is gone, and what the guest puts in next begins another cart.
//  2. Its lines are put into the user's cart, together with a mark that they were, in one step: done again, it does nothing.
//  3. The lines are taken out of the sealed cart. The seal stays, for as long as a cart does.
//
// A mark is kept longer than sealed lines are (RememberFor, Lifetime), and so they can't be added twice.

// Merge adds a guest's lines, in their order: quantities add up to MaxQuantity, products to MaxLines, and what doesn't fit is
// left out. A product that is in the cart already stays as it was added; others keep the time and the price that the guest saw.
func (c *Cart) Merge(lines []Line, now time.Time) {
	touched := false
	for _, l := range lines {
		i := c.index(l.ProductID)
		switch {
		case i >= 0 && c.lines[i].Quantity < MaxQuantity:
			c.lines[i].Quantity = min(c.lines[i].Quantity+l.Quantity, MaxQuantity)
		case i < 0 && len(c.lines) < MaxLines:
			c.lines = append(c.lines, l)
		default:
			continue
		}
		touched = true
	}
	if touched {
		c.sort()
		c.changed(now)
	}
}
