package redis

import (
	_ "embed" // the scripts
	"fmt"

	"github.com/redis/go-redis/v9"

	"shop.example/cart-service/internal/domain"
)

//go:embed scripts/prelude.lua
var prelude string

//go:embed scripts/add.lua
var addSource string

//go:embed scripts/set.lua
var setSource string

//go:embed scripts/remove.lua
var removeSource string

//go:embed scripts/clear.lua
var clearSource string

//go:embed scripts/remember.lua
var rememberSource string

//go:embed scripts/remove_purchased.lua
var removePurchasedSource string

//go:embed scripts/seal.lua
var sealSource string

//go:embed scripts/merge.lua
var mergeSource string

//go:embed scripts/discard.lua
var discardSource string

var (
	addScript             = script(addSource)
	setScript             = script(setSource)
	removeScript          = script(removeSource)
	clearScript           = script(clearSource)
	rememberScript        = script(rememberSource)
	removePurchasedScript = script(removePurchasedSource)
	sealScript            = script(sealSource)
	mergeScript           = script(mergeSource)
	discardScript         = script(discardSource)
)

// script puts the domain's constants and the prelude before a script. They are part of the text, not arguments: a script
// with other limits is another script, also while two releases run side by side.
func script(source string) *redis.Script {
	constants := fmt.Sprintf("local MAX_QUANTITY, MAX_LINES, LIFETIME, REMEMBER, REMEMBER_FOR = %d, %d, %d, %d, %d\n",
		domain.MaxQuantity, domain.MaxLines, domain.Lifetime.Milliseconds(), domain.Remember, domain.RememberFor.Milliseconds())
	return redis.NewScript(constants + prelude + source)
}
