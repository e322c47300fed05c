package domain

// Role is what a user may do in the shop. Nobody gets another role than Customer by registering.
type Role string

// The roles, as they stand in the store and in access tokens.
const (
	Customer Role = "customer"
	Staff    Role = "staff"
	Admin    Role = "admin"
)

// Status says whether a user may act at all.
type Status string

// The statuses, as they stand in the store.
const (
	Active   Status = "active"
	Disabled Status = "disabled"
)
