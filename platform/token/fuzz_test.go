package token

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// fixedKey is the key of a seed, so that what is found can be run again.
func fixedKey(f *testing.F, seed byte) (ed25519.PrivateKey, []byte) {
	f.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// claimsOf are good claims, without the random id that would differ between the processes of a fuzzer.
func claimsOf(p auth.Principal) string {
	return fmt.Sprintf(`{"sid":%q,"role":%q,"iss":%q,"sub":%q,"aud":[%q],"exp":1772367300,"nbf":1772366400,"iat":1772366400}`,
		p.SessionID, p.Role, Issuer, p.UserID, Audience)
}

// noon is when the claims of claimsOf begin to be good.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// FuzzVerify changes tokens of a known key: none but those that it signed may pass.
func FuzzVerify(f *testing.F) {
	key, keyPEM := fixedKey(f, 1)
	signer, err := NewSigner(keyPEM, noon)
	if err != nil {
		f.Fatal(err)
	}
	signed := map[string]auth.Principal{}
	for _, role := range []auth.Role{auth.Customer, auth.Staff, auth.Admin} {
		p := auth.Principal{UserID: "0199-alice", SessionID: "0199-session", Role: role}
		p.Token = signText(key, headerOf(signer), claimsOf(p))
		signed[p.Token] = p
		f.Add(p.Token)
		f.Add(p.Token[:strings.LastIndexByte(p.Token, '.')+1])
	}
	f.Add("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30.")
	verifier := NewVerifier(func(context.Context) ([]byte, error) { return signer.KeySet() }, 0, noon)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := verifier.Verify(t.Context(), raw)
		if want, ours := signed[raw]; ours {
			if err != nil || got != want {
				t.Fatalf("refused: %v, %v", got, err)
			}
			return
		}
		if apperr.KindOf(err) != apperr.Unauthenticated || got != (auth.Principal{}) {
			t.Fatalf("accepted: %v, %v", got, err)
		}
	})
}

// FuzzClaims signs what it is given with the right key: whatever passes names somebody with a role.
func FuzzClaims(f *testing.F) {
	key, keyPEM := fixedKey(f, 1)
	signer, err := NewSigner(keyPEM, noon)
	if err != nil {
		f.Fatal(err)
	}
	verifier := NewVerifier(func(context.Context) ([]byte, error) { return signer.KeySet() }, 0, noon)
	header := headerOf(signer)
	f.Add(header, claimsOf(auth.Principal{UserID: "u", SessionID: "s", Role: auth.Staff}))
	f.Add(header, `{"sub":"u","SUB":"v","aud":"`+Audience+`"}`)
	f.Add(header, "null")
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := signText(key, header, payload)
		got, err := verifier.Verify(t.Context(), raw)
		switch {
		case err != nil && (apperr.KindOf(err) != apperr.Unauthenticated || got != (auth.Principal{})):
			t.Fatalf("got %v, %v", got, err)
		case err == nil && (got.UserID == "" || got.SessionID == "" || !got.Role.AtLeast(auth.Customer) || got.Token != raw):
			t.Fatalf("accepted: %v", got)
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	_, one := fixedKey(f, 1)
	_, two := fixedKey(f, 2)
	signers, err := parseSigners(append(one, two...), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	set, err := keySet(signers)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(set)
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"x"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKeySet(raw)
		if err != nil && keys != nil {
			t.Fatal("keys and an error")
		}
		for id, key := range keys {
			if len(key) != ed25519.PublicKeySize {
				t.Fatalf("key %q has %d bytes", id, len(key)) // would panic when it verifies
			}
		}
	})
}

func FuzzParseSigners(f *testing.F) {
	_, one := fixedKey(f, 1)
	_, two := fixedKey(f, 2)
	f.Add(one)
	f.Add(append(bytes.Clone(one), two...))
	f.Add(bytes.Join([][]byte{one, two[:len(two)/2]}, []byte("\n\n")))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		signers, err := parseSigners(text, time.Now)
		if err != nil {
			if signers != nil {
				t.Fatal("keys and an error")
			}
			return
		}
		if len(signers) != bytes.Count(text, []byte("-----BEGIN ")) {
			t.Fatalf("%d keys of another number of blocks", len(signers))
		}
		known := map[string]bool{}
		message := []byte(rand.Text())
		for _, s := range signers {
			if known[s.id] {
				t.Fatalf("%s is there twice", s.id)
			}
			known[s.id] = true
			if !ed25519.Verify(s.key.Public().(ed25519.PublicKey), message, ed25519.Sign(s.key, message)) {
				t.Fatalf("%s does not sign", s.id)
			}
		}
	})
}

func headerOf(s *Signer) string { return `{"alg":"EdDSA","kid":"` + s.id + `","typ":"JWT"}` }

func signText(key ed25519.PrivateKey, header, payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	text := part([]byte(header)) + "." + part([]byte(payload))
	return text + "." + part(ed25519.Sign(key, []byte(text)))
}
