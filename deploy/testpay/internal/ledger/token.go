package ledger

// outcome is what the imagined bank does with a card.
type outcome struct {
	entry       EntryType
	failureCode string
	// silent: the authorization is made, but the caller's first attempt never hears of it.
	silent bool
	// keeps: what is taken is never given back. The bank refuses every refund, as of a card that was closed meanwhile.
	keeps bool
}

// The failure codes of declined payments.
const (
	CardDeclined      = "card_declined"
	InsufficientFunds = "insufficient_funds"
	// ProcessingFailed is final, too: the provider could not do it, whatever the card is worth.
	ProcessingFailed = "processing_failed"
)

var outcomes = map[string]outcome{
	"tok_ok":                 {entry: Authorized},
	"tok_declined":           {entry: Declined, failureCode: CardDeclined},
	"tok_insufficient_funds": {entry: Declined, failureCode: InsufficientFunds},
	"tok_error":              {entry: Declined, failureCode: ProcessingFailed},
	"tok_timeout":            {entry: Authorized, silent: true},
	"tok_late":               {entry: Pending},
	"tok_refund_refused":     {entry: Authorized, keeps: true},
}
