package domain

import "time"

// RepeatLifetime is for how long a refresh that was done may be repeated by its client: a lost answer is noticed after a
// timeout of 5 to 30 s, and one more try should find its answer too. What is older was not lost on the way.
const RepeatLifetime = time.Minute

// Renewal is the moment in which a refresh token is presented: the token, its session and the session's user, as they are
// while nobody else can change them.
type Renewal struct {
	User      *User
	Session   *Session
	Presented RefreshToken
	// Spent is how many tokens of the session have been spent and are kept.
	Spent int
	// Next is the successor, nil when there is none: the renewal was refused, or is the repetition of one.
	Next *RefreshToken
}

// Renew spends the presented token and puts next in its place. A token that was spent before ends the session: whoever
// presents it second may be the thief or the victim, and only signing in again tells. A refusal changes the session too,
// so it must be stored whatever Renew returns.
func (r *Renewal) Renew(next TokenHash, device Device, now time.Time) error {
	if !r.Presented.SpentAt.IsZero() {
		r.Session.End(EndedByReuse, now)
		return ErrRefreshTokenReused
	}
	if !r.Session.Alive(now) {
		return ErrSessionOver
	}
	if !r.User.MaySignIn() {
		r.Session.End(EndedByDisable, now)
		return ErrSessionOver
	}
	if r.Spent >= MaxSpentTokens {
		r.Session.End(EndedByLimit, now)
		return ErrSessionOver
	}
	r.Presented.SpentAt = now
	r.Next = &RefreshToken{Hash: next, SessionID: r.Session.id, IssuedAt: now}
	r.Session.device = device
	if now.After(r.Session.lastUsedAt) { // another replica's clock may be a little ahead of this one
		r.Session.lastUsedAt = now
	}
	return nil
}

// Repeat returns the successor that the presented token was given before, to the client that was to have it: one that holds
// the token and knows the key with which it was spent. That was lately, the session lives, and nobody has used the successor
// yet: then it is forgotten. In all other cases there is none, and Renew judges.
func (r *Renewal) Repeat(presented, key string, now time.Time) (successor string, ok bool) {
	if r.Presented.SpentAt.IsZero() || now.Sub(r.Presented.SpentAt) >= RepeatLifetime || !r.Session.Alive(now) || !r.User.MaySignIn() {
		return "", false
	}
	return openSuccessor(r.Presented.Successor, presented, key)
}
