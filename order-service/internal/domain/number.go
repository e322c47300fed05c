package domain

import "crypto/rand"

// numberLength letters of 32 make 2^50 numbers: a shop with a million orders a year meets a duplicate about once in two
// thousand years, and then the unique constraint makes the client try again.
const numberLength = 10

// NewNumber returns a number for people: short, without letters that are taken for one another (Crockford's base 32), and
// random, so that it does not tell how many orders the shop has.
func NewNumber() string {
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var raw [numberLength]byte
	_, _ = rand.Read(raw[:]) // it never fails
	number := make([]byte, 0, numberLength+1)
	for i, b := range raw {
		if i == numberLength/2 {
			number = append(number, '-')
		}
		number = append(number, letters[b%32]) // 256 is a multiple of 32: every letter is as likely
	}
	return string(number)
}
