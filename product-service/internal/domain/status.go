package domain

// ProductStatus says who may see and buy a product.
type ProductStatus string

// The states of a product. Only an active one is listed, and only an active one can be sold. Staff may go from each to each
// other: archiving is how a product is taken off the list for good without being deleted, and whoever did so by mistake sets
// the state that it had. What was promised or sold of it before stays promised and sold.
const (
	Draft    ProductStatus = "draft"
	Active   ProductStatus = "active"
	Archived ProductStatus = "archived"
)

// Known reports whether s is one of the states.
func (s ProductStatus) Known() bool { return s == Draft || s == Active || s == Archived }

// VisibleTo reports whether somebody may see a product in this state: customers see what is on sale, staff see all.
func (s ProductStatus) VisibleTo(staff bool) bool { return staff || s == Active }

// Sellable reports whether stock of a product in this state may be promised to an order.
func (s ProductStatus) Sellable() bool { return s == Active }
