package domain

// Address is where an order goes, as it was when the order was placed. Its form is checked at the door.
type Address struct {
	Recipient  string
	Line1      string
	Line2      string
	City       string
	Region     string
	PostalCode string
	Country    string // ISO 3166-1 alpha-2
	Phone      string
}
