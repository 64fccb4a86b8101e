package replenish

import (
	"encoding/base32"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// TestForgedTokensChangeNothing tries 100,000 tokens, or a million with
// RESTOCK_TEST_FULL=1, by all ways in which a token comes.
func TestForgedTokensChangeNothing(t *testing.T) {
	t.Parallel()
	n := 100_000
	switch {
	case blackbox.RaceDetector:
		blackbox.RunWithoutRaceDetector(t)
		n = 20_000
	case os.Getenv("RESTOCK_TEST_FULL") == "1":
		n = 1_000_000
	}
	const forgers = 4
	keys := openRing(t, func() (string, error) { return testKeys().Format(), nil })
	mux, store := guarded(keys)
	refusal, notFound := answered(mux, "/product/donut", ""), answered(mux, "/nowhere", "")
	seed := rand.Uint64()
	var all sync.WaitGroup
	for i := range forgers {
		all.Go(func() {
			f := newForger(rand.New(rand.NewPCG(seed, uint64(i))))
			for range n / forgers {
				target, body, stray := f.call()
				want := refusal
				if stray {
					want = notFound
				}
				if got := answered(mux, target, body); got != want || store.received.Load() > 0 {
					t.Errorf("I10 seed %d: %s with %s was answered\n%s\nwant\n%s\nand %d were stored", seed, target, body, got, want, store.received.Load())
					return
				}
			}
		})
	}
	all.Wait()
	// The control: what is genuine comes in by the same ways.
	for _, way := range ways() {
		before := store.received.Load()
		target, body := way.carry(testKeys().sign(testOrder, 1))
		if answered(mux, target, body); store.received.Load() != before+1 {
			t.Errorf("a good token in %s with %s is not received", target, body)
		}
	}
}

// forger makes tokens as somebody would who knows how they are built and has
// seen genuine ones, of which the shop gives none away twice, but no key.
type forger struct {
	random  *rand.Rand
	genuine []string
	ways    []way
	own     Keys
}

func newForger(random *rand.Rand) *forger {
	keys := testKeys()
	other := testOrder
	other[15]--
	return &forger{
		random: random, ways: ways(),
		genuine: []string{keys.sign(testOrder, 1), keys.sign(testOrder, 2), keys.sign(other, 1), keys[:1].sign(testOrder, 1)},
		own:     Keys{{ID: 200, Secret: []byte(strings.Repeat("own", 11))}},
	}
}

func (f *forger) call() (target, body string, stray bool) {
	w := f.ways[f.random.IntN(len(f.ways))]
	target, body = w.carry(f.token())
	return target, body, w.stray
}

// token forges one. What happens to be genuine in another case is no forgery.
func (f *forger) token() string {
	for {
		token := f.forge()
		forged := true
		for _, genuine := range f.genuine {
			forged = forged && !strings.EqualFold(token, genuine)
		}
		if forged {
			return token
		}
	}
}

func (f *forger) forge() string {
	const kinds = 18
	model := f.genuine[f.random.IntN(len(f.genuine))]
	if kind := f.random.IntN(kinds); kind < kinds/2 {
		return f.forgeBytes(kind, model)
	} else {
		return f.forgeText(kind-kinds/2, model)
	}
}

// forgeBytes changes what a token says.
func (f *forger) forgeBytes(kind int, model string) string {
	raw, _ := decodeToken(model)
	another, _ := decodeToken(f.genuine[f.random.IntN(len(f.genuine))])
	switch kind {
	case 0: // nothing of ours
		f.fill(raw)
	case 1: // all but the version and the key's id
		f.fill(raw[2:])
	case 2: // another MAC
		f.fill(raw[tokenBody:])
	case 3: // another order under the same MAC
		f.fill(raw[2:18])
	case 4: // another attempt
		f.fill(raw[18:tokenBody])
	case 5: // one bit
		raw[f.random.IntN(len(raw))] ^= 1 << f.random.IntN(8)
	case 6: // another version, another key: one that is there, or none
		raw[f.random.IntN(2)] = []byte{0, 1, 2, 200, byte(f.random.Uint32())}[f.random.IntN(5)]
	case 7: // the parts of two genuine ones
		at := []int{2, 18, tokenBody, f.random.IntN(len(raw))}[f.random.IntN(4)]
		copy(raw[at:], another[at:])
	default: // signed with a key of one's own
		return f.own.sign(restock.OrderID(raw[2:18]), f.random.IntN(1<<16))
	}
	return strings.ToLower(tokenEncoding().EncodeToString(raw))
}

// forgeText changes how it is written.
func (f *forger) forgeText(kind int, model string) string {
	raw, _ := decodeToken(model)
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	at := f.random.IntN(len(model))
	switch kind {
	case 0: // cut
		return model[:at]
	case 1:
		return model[at+1:]
	case 2: // longer
		return model + alphabet[f.random.IntN(len(alphabet)):]
	case 3: // padded, or with what decoders skip
		return []string{model + "=", model + "======", model + "\n", "\r\n" + model, model[:at] + "\n" + model[at:], " " + model, model + "\x00"}[f.random.IntN(7)]
	case 4: // the bits beside the last byte
		last := strings.IndexByte(alphabet, model[len(model)-1])
		return model[:len(model)-1] + string(alphabet[last^(1+f.random.IntN(3))])
	case 5: // in another alphabet
		return []string{
			hex.EncodeToString(raw), base32.HexEncoding.EncodeToString(raw), strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)),
		}[f.random.IntN(3)]
	case 6: // letters that look the same, or fold to the same
		return strings.NewReplacer("o", "0", "l", "1", "b", "8", "k", "\u212a", "s", "\u017f").Replace(model[:at]) + "9" + model[at:]
	case 7: // a letter of the other case is another one only where case counts
		return strings.ToUpper(model[:at]) + string(alphabet[f.random.IntN(len(alphabet))]) + model[at+1:]
	default: // twice, or with more around it
		return []string{model + model, "token=" + model + "x", "%" + model, model + ";" + model}[f.random.IntN(4)]
	}
}

func (f *forger) fill(b []byte) {
	for i := range b {
		b[i] = byte(f.random.Uint32())
	}
}
