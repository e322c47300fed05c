package domain

import "github.com/google/uuid"

// Owner is whose cart it is. There is one cart an owner.
type Owner struct{ key string }

// UserOwner is the owner of a signed-in user's cart.
func UserOwner(id uuid.UUID) Owner {
	// The prefix leaves room for owners of other kinds, such as guests, whose ids must never meet those of users.
	return Owner{"user:" + id.String()}
}

// String is the same for the same owner and differs for different ones, now and in all later releases: stores keep carts
// under it.
func (o Owner) String() string { return o.key }
