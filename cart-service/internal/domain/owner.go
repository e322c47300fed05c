package domain

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"
)

// Owner is whose cart it is: a user's or a guest's. There is one cart an owner.
type Owner struct{ key string }

// UserOwner is the owner of a signed-in user's cart.
func UserOwner(id uuid.UUID) Owner { return Owner{"user:" + id.String()} }

// GuestOwner is the owner of a guest's cart.
func GuestOwner(id GuestID) Owner { return Owner{"guest:" + hex.EncodeToString(id[:])} }

// String is the same for the same owner and differs for different ones, now and in all later releases: stores keep carts
// under it. The prefix says which kind it is, so that ids of one kind never meet those of another.
func (o Owner) String() string { return o.key }

// GuestID is a guest without an account: 128 random bits, made with the guest's first write. Two guests have the same by
// chance only when some 2^64 have been made.
type GuestID [16]byte

// NewGuestID returns the id of a new guest.
func NewGuestID() GuestID {
	var id GuestID
	_, _ = rand.Read(id[:]) // it never fails
	return id
}
