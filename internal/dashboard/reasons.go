package dashboard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/restock/restock"
)

// said is a text that the program has written down, as a page shows it.
type said struct {
	Text    string
	English bool // on a page in another language
}

// Said puts a text of the store in the language of the page. One that it does
// not know, such as a newer part of the program may write, stays in English.
func (v *view) Said(text string) said {
	if v.Language != restock.Korean {
		return said{Text: text}
	}
	if korean, ok := inKorean(text); ok {
		return said{Text: korean}
	}
	return said{Text: text, English: true}
}

// reason is a text of the store and the same in Korean. In English %d is a
// number, %s are words, and %+ is a reason inside of this one. Korean says them
// in its own order: %[2]s is the second.
type reason struct{ english, korean string }

// inKorean finds the reason that a text was made from.
func inKorean(text string) (string, bool) {
	for _, r := range koreanReasons() {
		if !strings.Contains(text, r.mark) {
			continue
		}
		found := r.english.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		parts := make([]any, len(found)-1)
		for i, part := range found[1:] {
			if korean, ok := inKorean(part); ok && r.inner[i] {
				part = korean
			}
			parts[i] = part
		}
		return fmt.Sprintf(r.korean, parts...), true
	}
	return "", false
}

// knownReason is a reason that can be found again.
type knownReason struct {
	mark    string // its longest words between the parts: to look for them costs little
	english *regexp.Regexp
	inner   []bool // which of its parts are reasons
	korean  string
}

var reasonPart = regexp.MustCompile(`%[ds+]`)

// koreanReasons are made when somebody reads Korean first.
var koreanReasons = sync.OnceValue(func() []knownReason { //nolint:gochecknoglobals // it never changes.
	all := reasons()
	known := make([]knownReason, len(all))
	for i, r := range all {
		known[i] = r.known()
	}
	return known
})

func (r reason) known() knownReason {
	k := knownReason{korean: r.korean}
	var pattern strings.Builder
	parts := reasonPart.FindAllString(r.english, -1)
	for i, words := range reasonPart.Split(r.english, -1) {
		if len(words) > len(k.mark) {
			k.mark = words
		}
		pattern.WriteString(regexp.QuoteMeta(words))
		switch {
		case i == len(parts):
		case parts[i] == "%d":
			pattern.WriteString(`(-?\d+)`)
		default:
			pattern.WriteString(`(.+?)`)
		}
	}
	for _, part := range parts {
		k.inner = append(k.inner, part == "%+")
	}
	k.english = regexp.MustCompile(`(?s)^` + pattern.String() + `$`)
	return k
}

// reasons are what the program writes down: those that have others inside come
// first.
func reasons() []reason {
	return slices.Concat(decisionReasons(), overdueReasons(), receiptReasons(), deskReasons(), promiseNames(), states())
}

// decisionReasons say why there is an order, or none.
func decisionReasons() []reason {
	return []reason{
		{"%s ordered by hand: %s", "%s 님이 직접 발주: %s"},
		{"no order because %+", "발주하지 않음: %s"},
		{"%+; it awaits approval because %+", "%s. 승인 필요: %s"},
		{"%+; order %s is open", "%s. 발주 %s 진행 중"},
		{"the position %d is at or below the reorder point %d", "재고 위치 %s, 발주점 %s 이하"},
		{"the position %d is above the reorder point %d", "재고 위치 %s, 발주점 %s 초과"},
		{"the position %d would rise above the maximum stock %d", "재고 위치가 %s까지 늘어 최대 재고 %s 초과"},
		{"the maximum stock %d leaves no room for a pack of %d", "최대 재고 %s 안에 %s개 묶음이 들어갈 자리가 없음"},
		{"the product has no factory", "상품에 공장이 없음"},
		{"%d orders by hand are open", "직접 낸 발주 %s건이 진행 중"},
		{"ordering is off", "발주 방식이 ‘안 함’"},
		{"ordering is review", "발주 방식이 ‘승인 후’"},
		{"it is snoozed until %s", "%s까지 발주를 쉼"},
		{"order %s is open", "발주 %s 진행 중"},
		{"its unit_cost is not known, and %+ has a daily limit of %d", "원가(unit_cost)를 모르고, %s 하루 한도 %s이 있음"},
		{"it costs %d, and of the daily limit %d of %+ %d are ordered", "금액 %s, %[3]s 하루 한도 %[2]s 중 %[4]s 이미 발주"},
		{"the shop", "가게 전체"},
		{"an import or a changed policy placed %d orders already", "가져오기나 정책 변경으로 이미 %s건 발주"},
		{"the quantity must be 1 to %d; give one", "수량은 1에서 %s까지"},
		{"%d is below the minimum order %d", "%s개는 최소 발주량 %s개 미만"},
		{"%d is not whole packs of %d", "%s개는 %s개 묶음으로 나누어떨어지지 않음"},
	}
}

// overdueReasons say why an order waits, is held, or was closed.
func overdueReasons() []reason {
	return []reason{
		{"rejected by %s: %s", "%s 님이 반려: %s"},
		{"written off by %s: %s", "%s 님이 포기: %s"},
		{"%s refused it: %s", "%s에서 거부: %s"},
		{"%+; ask the factory, since it may still deliver", "%s. 공장에 물어보세요. 아직 보낼 수 있습니다"},
		{"%s has not called back in time; waiting on, as its policy says", "%s에서 제때 콜백이 오지 않음. 정책에 따라 더 기다림"},
		{"the time to wait for %s is over", "%s 콜백을 기다리기로 한 시간이 끝남"},
		{
			"%s did call, and %d of its reports are held: approve or refuse them, see `restock receipts list --state held`",
			"%s에서 콜백이 왔고 입고 %s건이 보류 중. 승인하거나 거절하세요",
		},
		{
			"%s did call, and its report is held: approve or refuse it, see `restock receipts list --state held`",
			"%s에서 콜백이 왔고 입고가 보류 중. 승인하거나 거절하세요",
		},
		{
			"no callback, but nobody was here to be called for %s of the time, and it calls only once",
			"콜백이 없음. 공장은 한 번만 부르는데 그동안 %s 동안 서버가 꺼져 있었음",
		},
		{
			"%s has not called back in time, and never yet at %s: see whether it can reach it",
			"%s에서 제때 콜백이 오지 않았고 %s 주소로는 온 적이 없음. 그 주소에 닿을 수 있는지 확인하세요",
		},
		{"%s has not called back in time", "%s에서 제때 콜백이 오지 않음"},
		{"%d attempts were not delivered in time", "시도 %s번이 제때 도착하지 않음"},
		{
			"%d of %d other orders of %s are overdue too: see whether its callbacks can reach us",
			"%[3]s의 다른 발주 %[2]s건 중 %[1]s건도 늦음. 콜백이 이 서버에 닿는지 확인하세요",
		},
		{
			"%d of %d came, and nobody was here to be called for %s of the time: ask the factory whether the rest was delivered",
			"%[2]s개 중 %[1]s개만 왔고 그동안 %[3]s 동안 서버가 꺼져 있었음. 나머지를 보냈는지 공장에 물어보세요",
		},
		{"%d of %d came", "%[2]s개 중 %[1]s개만 옴"},
	}
}

// receiptReasons say what is wrong with a report of goods.
func receiptReasons() []reason {
	return []reason{
		{"this report came before", "이미 온 보고"},
		{
			"this report came before, and without a token it may be a repeat or the next delivery; a factory with `repeats: apply` is taken at its word",
			"이미 온 보고. 토큰이 없어 반복인지 다음 배송인지 알 수 없음. `repeats: apply`인 공장의 보고는 그대로 믿음",
		},
		{"%d attempts of open orders may be what it reports", "진행 중인 발주의 시도 %s건이 이 보고에 해당할 수 있음"},
		{"nobody vouches for it: its address carries neither a token nor the secret of a factory", "보증하는 곳이 없음: 주소에 토큰도 공장의 비밀값도 없음"},
		{"it reports factory %s, and the secret is that of %s", "보고한 공장은 %s, 비밀값의 공장은 %s"},
		{"it names no product", "상품을 밝히지 않음"},
		{"it reports product %s, which is not in the catalogue", "보고한 상품 %s이(가) 카탈로그에 없음"},
		{"it reports product %s, which is not made by %s", "보고한 상품 %s은(는) %s에서 만들지 않음"},
		{"with these pieces there would be more than %d", "이 수량을 더하면 %s개를 넘음"},
		{"this report came before, and %d pieces are still missing: it may be a repeat or the rest", "이미 온 보고인데 %s개가 아직 오지 않음. 반복이거나 나머지일 수 있음"},
		{"it reports product %s, ordered was %s", "보고한 상품은 %s, 발주한 상품은 %s"},
		{"it reports factory %s, ordered was %s", "보고한 공장은 %s, 발주한 공장은 %s"},
		{"it reports requester %s, ordered was %s", "보고한 요청자는 %s, 발주한 요청자는 %s"},
		{"the count cannot be relied on: %+", "수량을 믿을 수 없음: %s"},
		{"all %d pieces came before", "%s개가 이미 모두 옴"},
		{"%d more than the %d that were missing", "아직 오지 않은 %[2]s개보다 %[1]s개 많음"},
		{"its order is not known here", "여기에 없는 발주"},
		{"the count is missing or empty", "수량이 없거나 비어 있음"},
		{"the count has more than 9 digits", "수량이 9자리를 넘음"},
		{"the count is not above zero", "수량이 0보다 크지 않음"},
		{"the count is not a whole number in plain digits", "수량이 숫자로만 적은 정수가 아님"},
		{"the body is empty", "본문이 비어 있음"},
		{"the body is not well-formed JSON", "본문이 올바른 JSON이 아님"},
		{"the body is not a JSON object", "본문이 JSON 객체가 아님"},
		{"the body has two counts that differ (%s and %s)", "본문의 두 수량(%s, %s)이 서로 다름"},
		{"the body has the key %s twice", "본문에 키 %s가 두 번 있음"},
	}
}

// deskReasons say whether a message that died is still needed.
func deskReasons() []reason {
	return []reason{
		{"%+; that is held back until %s", "%s. %s까지 미룸"},
		{"the advertisement has nothing to sell, and the mail that asks to stop was not confirmed", "팔 것이 없고, 중단 요청 메일이 갔는지 확인되지 않음"},
		{"the advertisement has nothing to sell, and its manager was not asked to stop", "팔 것이 없는데 담당자에게 중단을 요청하지 않음"},
		{"the advertisement has something to sell, and the mail that it can resume was not confirmed", "팔 것이 있고, 재개 안내 메일이 갔는지 확인되지 않음"},
		{"the advertisement has something to sell, and its manager was not told that it can resume", "팔 것이 있는데 담당자에게 재개를 안내하지 않음"},
		{"the advertisement has something to sell, and its manager was not asked to stop", "팔 것이 있고, 담당자에게 중단을 요청한 적이 없음"},
		{"the mail that asks to stop was sent", "중단 요청 메일을 보냄"},
		{"the mail that it can resume was sent", "재개 안내 메일을 보냄"},
		{"the stock is back since %s", "%s부터 재고가 있음"},
		{"it was sold out again at %s", "%s에 다시 품절됨"},
		{"the product has no advertisement", "상품에 광고가 없음"},
		{"there is no stockout %s", "품절 %s 없음"},
		{"a mail to its manager is on its way", "담당자에게 메일을 보내는 중"},
		{"its manager does not answer, and a reminder is due", "담당자가 답하지 않아 다시 요청할 때가 됨"},
		{"its manager does not answer, and operations have to hear of it", "담당자가 답하지 않아 운영팀에 알려야 함"},
		{"this process does not decide about advertisements; ask one that does", "이 프로세스는 광고를 판단하지 않음. 판단하는 프로세스에서 보세요"},
		{"this process does not decide about orders; ask one that does", "이 프로세스는 발주를 판단하지 않음. 판단하는 프로세스에서 보세요"},
		{"the order is %+ now", "발주가 지금 ‘%s’"},
		{"the receipt is %+ now", "입고가 지금 ‘%s’"},
		{"the order is %+, and nobody was told", "발주가 ‘%s’인데 아무에게도 알리지 않음"},
		{"the receipt is %+, and nobody was told", "입고가 ‘%s’인데 아무에게도 알리지 않음"},
		{"the order is %+ because a person decided so", "사람이 그렇게 결정해 발주가 ‘%s’"},
		{"the receipt is %+ because a person decided so", "사람이 그렇게 결정해 입고가 ‘%s’"},
		{"the order is %+, and the mail that tells so was not confirmed", "발주가 ‘%s’이고, 알리는 메일이 갔는지 확인되지 않음"},
		{"the receipt is %+, and the mail that tells so was not confirmed", "입고가 ‘%s’이고, 알리는 메일이 갔는지 확인되지 않음"},
		{"the order is still %+, and has to be told again", "발주가 아직 ‘%s’라 다시 알려야 함"},
		{"the receipt is still %+, and has to be told again", "입고가 아직 ‘%s’라 다시 알려야 함"},
		{"the mail that the order is %+ was sent at %s", "발주가 ‘%s’라는 메일을 %s에 보냄"},
		{"the mail that the receipt is %+ was sent at %s", "입고가 ‘%s’라는 메일을 %s에 보냄"},
		{"the mail that the order is %+ was sent so long ago that it is not kept", "발주가 ‘%s’라는 메일은 오래전에 보내 기록이 남아 있지 않음"},
		{"the mail that the receipt is %+ was sent so long ago that it is not kept", "입고가 ‘%s’라는 메일은 오래전에 보내 기록이 남아 있지 않음"},
		{"there is no order %s", "발주 %s 없음"},
		{"there is no receipt %s", "입고 %s 없음"},
		{"the receiver of this webhook did not get it", "이 웹훅을 받는 쪽이 받지 못함"},
		{"messages of type %s are not known here; a newer restock may know them", "여기서 모르는 종류의 메시지: %s. 더 새로운 restock은 알 수 있음"},
		{"%s has no handler for %s", "%s에서 %s 메시지를 처리하지 않음"},
		{"the body cannot be read: %s", "본문을 읽을 수 없음: %s"},
		{"version %d of %s is not known here; a newer restock may know it", "여기서 모르는 %[2]s 판: %[1]s. 더 새로운 restock은 알 수 있음"},
		{"nothing is known of %s", "%s에 대해 아는 것이 없음"},
	}
}

// states are the names of states inside of reasons, as the badges have them.
func states() []reason {
	var all []reason
	for key, texts := range allWords() {
		for _, kind := range []string{"state_", "receipt_"} {
			if name, ok := strings.CutPrefix(key, kind); ok {
				all = append(all, reason{name, texts[0]})
			}
		}
	}
	return all
}

// promiseNames are what the check of the promises looks at.
func promiseNames() []reason {
	return []reason{
		{"goods that nobody vouched for came with a person's approval alone", "보증하는 곳이 없는 입고는 사람이 승인한 것만 반영됨"},
		{"never oversell: available is at least 0", "없는 것은 팔지 않음: 판매 가능 수량은 0 이상"},
		{"the urgency under which a product is listed is what its numbers say", "상품이 놓인 급한 순서가 그 수량과 맞음"},
		{"what was sold is covered by what came", "팔린 것은 모두 들어온 것"},
		{"on hand is the sum of the ledger", "재고는 장부의 합계"},
		{"the ledger has every opening stock, sale and receipt, and nothing else", "장부에 처음 재고, 판매, 입고가 빠짐없이 있고 다른 것은 없음"},
		{"returns and adjustments are in the ledger as they were booked", "반품과 조정이 기록한 대로 장부에 있음"},
		{"reserved is what held reservations hold", "예약 수량은 살아 있는 예약의 합계"},
		{"on order is what open orders still expect", "발주 중 수량은 진행 중인 발주가 아직 받을 수량"},
		{"open automatic orders stay within the product's slots", "진행 중인 자동 발주는 상품마다 정한 수 이하"},
		{"no order was accepted more often than its budget allows", "어떤 발주도 허용된 횟수보다 더 접수되지 않음"},
		{"an attempt received what its receipts say, and never more than was asked", "시도마다 받은 수량은 입고 보고와 같고 요청한 수량 이하"},
		{"an order received what its attempts did", "발주가 받은 수량은 시도마다 받은 수량의 합계"},
		{"every message published is handled, waiting, in flight or dead", "보낸 메시지는 모두 처리됨, 대기, 처리 중, 처리 못 함 가운데 하나"},
		{"every delivery has its message", "전달마다 메시지가 있음"},
		{"the log of events has no gap", "이벤트 기록에 빈 곳이 없음"},
		{"the refusals of a stockout add up", "품절 때 돌아간 구매자의 수가 맞음"},
		{"the stockout that a product names is open, and there is no other", "상품에 적힌 품절은 진행 중이고 다른 품절은 없음"},
		{"the file is whole: SQLite finds no damaged page", "파일이 온전함: SQLite가 손상된 쪽을 찾지 못함"},
		{"the server answers a commit when it is durable", "데이터베이스 서버는 커밋이 안전하게 저장된 뒤에 답함"},
	}
}
