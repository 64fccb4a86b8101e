package dashboard

import "maps"

// allWords are the texts: Korean, English. What the store writes down, such as
// the reason of a decision, is English and is marked so.
func allWords() map[string][2]string {
	all := map[string][2]string{}
	for _, part := range []map[string][2]string{
		frameWords(), loginWords(), listWords(), promiseWords(), stockWords(), orderWords(), messageWords(), actWords(), roleWords(), stateWords(),
		valueWords(),
	} {
		maps.Copy(all, part)
	}
	return all
}

// frameWords are around every page.
func frameWords() map[string][2]string {
	return map[string][2]string{
		"skip":            {"본문으로 건너뛰기", "Skip to the content"},
		"navigation":      {"주요 메뉴", "Main"},
		"overview":        {"현황", "Overview"},
		"waiting":         {"결정 대기", "Waiting"},
		"orders":          {"발주", "Orders"},
		"queues":          {"대기열", "Queues"},
		"mail":            {"광고·메일", "Ads & mail"},
		"audit":           {"사람이 결정한 것", "What people decided"},
		"nav_audit":       {"기록", "Audit"},
		"checks":          {"약속 점검", "Promises"},
		"product":         {"상품", "Product"},
		"order":           {"발주", "Order"},
		"receipt":         {"입고 보고", "Receipt"},
		"dead_letter":     {"처리 못 한 메시지", "Dead letter"},
		"search_products": {"상품 찾기", "Find a product"},
		"live_on":         {"실시간", "Live"},
		"live_off":        {"다시 연결하는 중", "Reconnecting"},
	}
}

// loginWords are about signing in, and about what is not possible.
func loginWords() map[string][2]string {
	return map[string][2]string{
		"sign_in":  {"로그인", "Sign in"},
		"sign_out": {"로그아웃", "Sign out"},
		"sign_in_about": {
			"운영자 토큰이나 조회용 토큰으로 로그인합니다. 적은 이름은 결정 기록에 남습니다.",
			"Sign in with the operator's token, or with the viewer's. Your name is kept with everything that you decide.",
		},
		"your_name":       {"이름", "Your name"},
		"token":           {"토큰", "Token"},
		"token_is_in":     {"운영자 토큰은 서버의 이 파일에 있습니다:", "The operator's token is in this file of the server:"},
		"name_needed":     {"이름을 1~200바이트로 적어 주세요.", "Give your name, in 1 to 200 bytes."},
		"wrong_token":     {"맞지 않는 토큰입니다.", "This token opens nothing here."},
		"too_many_logins": {"시도가 너무 많습니다. 10초 뒤에 다시 해 주세요.", "Too many tries. Wait ten seconds."},
		"cannot":          {"할 수 없음", "Not possible"},
		"session_ended":   {"로그인이 끝났습니다. 다시 로그인해 주세요.", "Your session has ended. Sign in again."},
		"foreign_form":    {"이 페이지에서 보낸 요청이 아닙니다.", "This form did not come from one of our pages."},
		"stale_form":      {"오래된 양식입니다. 페이지를 다시 열어 주세요.", "This form is too old. Open the page again."},
		"form_too_large":  {"양식이 너무 큽니다.", "The form is too large."},
		"viewers_read":    {"조회 권한으로는 결정할 수 없습니다. 운영자 토큰으로 로그인해 주세요.", "Viewers cannot act. Sign in with the operator's token."},
		"no_such_act":     {"그런 동작은 없습니다.", "There is no such act."},
		"to_overview":     {"현황으로", "To the overview"},
		"go_on":           {"계속", "Go on"},

		"error_not_found":       {"찾을 수 없습니다.", "There is no such thing."},
		"error_unknown_product": {"그런 상품이 없습니다.", "There is no such product."},
		"error_invalid":         {"주소나 값이 맞지 않습니다.", "This address or value is not valid."},
		"error_unavailable":     {"지금은 읽을 수 없습니다. 잠시 뒤에 다시 열어 주세요.", "This cannot be read right now. Try again in a moment."},
		"error_other":           {"서버 안에서 오류가 났습니다.", "An error inside the server."},
	}
}

// listWords are around lists and times.
func listWords() map[string][2]string {
	return map[string][2]string{
		"all":         {"전체", "All"},
		"look":        {"보기", "Look"},
		"first_page":  {"처음", "First page"},
		"next_page":   {"다음", "Next page"},
		"older":       {"이전 것", "Older"},
		"just_now":    {"방금", "just now"},
		"minutes_ago": {"%s분 전", "%s min ago"},
		"hours_ago":   {"%s시간 전", "%s h ago"},
		"days_ago":    {"%s일 전", "%s day ago|%s days ago"},
		"at":          {"때", "When"},
		"who":         {"누가", "Who"},
		"what":        {"무엇", "What"},
		"reason":      {"이유", "Reason"},
		"detail":      {"내용", "Detail"},
		"reason_why":  {"왜 그렇게 하나요?", "Why?"},
		"reason_needed": {
			"이유를 1~%s바이트로 적어 주세요. 결정과 함께 남습니다.", "Give a reason of 1 to %s bytes; it is kept with what you decide.",
		},
		"no_audit": {"아직 사람이 결정한 것이 없습니다.", "Nobody has decided anything yet."},
	}
}

// promiseWords are about the check of the promises.
func promiseWords() map[string][2]string {
	return map[string][2]string{
		"checks_hold":   {"약속 %s개 모두 지켜짐", "All %s promises hold"},
		"checks_broken": {"지켜지지 않은 약속 %s개", "%s promise is broken|%s promises are broken"},
		"checks_none":   {"약속을 아직 점검하지 않았습니다", "The promises were not checked yet"},
		"checks_failed": {"약속을 점검하지 못했습니다", "The promises could not be checked"},
		"checks_about": {
			"재고, 발주, 메시지의 모든 행을 다시 더해 봅니다. 누가 보고 있는 동안에만, 오래된 결과를 새로 점검합니다.",
			"All rows of stock, orders and messages are added up anew. It is done while somebody looks, when the last time is long ago.",
		},
		"checked_at": {"점검", "Checked"},
		"checking":   {"점검하는 중…", "Checking…"},
		"check_now":  {"지금 점검", "Check now"},
		"promise":    {"약속", "Promise"},
		"holds_q":    {"결과", "Result"},
		"holds_yes":  {"지켜짐", "holds"},
		"broken_n":   {"어긋난 행 %s", "%s broken"},
		"rows":       {"살펴본 행", "Rows"},
	}
}

// stockWords are about products and their stock.
func stockWords() map[string][2]string {
	return map[string][2]string{
		"all_is_well":         {"모두 순조롭습니다.", "All is well."},
		"wait_for_you":        {"%s건이 결정을 기다립니다.", "%s thing waits for you.|%s things wait for you."},
		"out_of_stock_now":    {"상품 %s개가 품절입니다.", "%s product is out of stock.|%s products are out of stock."},
		"products":            {"상품", "Products"},
		"products_by_urgency": {"급한 순서로 본 상품", "Products by urgency"},
		"all_products":        {"모든 상품", "All products"},
		"found_for":           {"“%s” 검색 결과", "Found for “%s”"},
		"nothing_found":       {"찾은 상품이 없습니다.", "No product was found."},
		"more_found":          {"더 있습니다. 낱말을 더 적어 보세요.", "There is more; add words to find it."},
		"no_products":         {"여기에 보일 상품이 없습니다.", "There is no product to show here."},
		"levels":              {"재고 막대", "Levels"},
		"on_hand":             {"재고", "On hand"},
		"reserved":            {"예약", "Reserved"},
		"available":           {"판매 가능", "Available"},
		"on_order":            {"발주 중", "On order"},
		"expected":            {"도착 예정", "Expected"},
		"position":            {"재고 위치", "Position"},
		"reorder_point":       {"발주점", "Reorder point"},
		"order_quantity":      {"발주량", "Order quantity"},
		"order_up_to":         {"목표 재고", "Order up to"},
		"ordering":            {"발주 방식", "Ordering"},
		"price":               {"가격", "Price"},
		"snoozed_until":       {"이때까지 자동 발주를 쉽니다:", "Nothing is ordered by itself until"},
		"stock_over_time":     {"재고의 흐름", "Stock over time"},
		"span_1h":             {"1시간", "1 hour"},
		"span_1d":             {"1일", "1 day"},
		"span_7d":             {"7일", "7 days"},
		"span_30d":            {"30일", "30 days"},
		"span_all":            {"전체", "All"},
		"stockout":            {"품절", "Stockout"},
		"stockouts":           {"품절 기록", "Stockouts"},
		"no_stockouts":        {"품절된 적이 없습니다.", "It was never out of stock."},
		"still":               {"아직", "still"},
		"from":                {"부터", "From"},
		"until":               {"까지", "Until"},
		"buyers_refused":      {"돌아간 구매자", "Buyers turned away"},
		"units_refused":       {"못 판 수량", "Units not sold"},
		"order_made":          {"발주", "Ordered"},
		"goods_came":          {"입고", "Goods came"},
		"sampled": {
			"변화가 많아 일부만 그렸습니다. 품절, 발주, 입고는 빠짐없이 표시됩니다.",
			"There were too many changes to draw each one; stockouts, orders and arrivals are all there.",
		},
		"sampled_newest": {
			"변화가 많아 일부만 그렸습니다. 품절, 발주, 입고는 최근 것만 표시됩니다.",
			"There were too many changes to draw each one; of stockouts, orders and arrivals the newest are there.",
		},
		"chart_words": {
			"재고 %s에서 %s까지, 지금 %s. 품절 %s번, 발주 %s번, 입고 %s번.",
			"On hand from %s to %s, now %s. Stockouts: %s. Orders: %s. Arrivals: %s.",
		},
		"movements":      {"재고 변동", "Movements"},
		"no_movements":   {"아직 변동이 없습니다.", "Nothing has moved yet."},
		"change":         {"변화", "Change"},
		"why_decided":    {"왜 발주했나, 왜 안 했나", "Why it was ordered, or not"},
		"no_decisions":   {"아직 판단한 적이 없습니다.", "Nothing was decided yet."},
		"ordered_n":      {"%s개 발주", "ordered %s"},
		"not_ordered":    {"발주 안 함", "not ordered"},
		"needs_approval": {"(승인 필요)", "(needs approval)"},
		"times_n":        {"%s번", "%s time|%s times"},
	}
}

// orderWords are about orders and what came of them.
func orderWords() map[string][2]string {
	return map[string][2]string{
		"waits_for_you":      {"결정을 기다리는 일", "Waits for you"},
		"nothing_waits":      {"기다리는 일이 없습니다.", "Nothing waits for you."},
		"awaiting_orders":    {"승인을 기다리는 발주", "Orders awaiting approval"},
		"no_awaiting":        {"승인을 기다리는 발주가 없습니다.", "No order awaits approval."},
		"held_orders":        {"보류된 발주", "Held orders"},
		"no_held":            {"보류된 발주가 없습니다.", "No order is held."},
		"held_receipts":      {"보류된 입고", "Held receipts"},
		"no_held_receipts":   {"보류된 입고가 없습니다.", "No receipt is held."},
		"order_held":         {"보류된 발주", "order held"},
		"receipt_is_held":    {"보류된 입고", "receipt held"},
		"unknown_order":      {"모르는 발주", "unknown order"},
		"order_of":           {"%s개 × %s", "%s × %s"},
		"pieces":             {"%s개", "%s piece|%s pieces"},
		"no_orders":          {"발주가 없습니다.", "There is no order."},
		"ordered":            {"발주", "Ordered"},
		"received":           {"받음", "Received"},
		"made":               {"만든 때", "Made"},
		"closed":             {"끝난 때", "Closed"},
		"cause":              {"계기", "Cause"},
		"why":                {"왜", "Why"},
		"why_held":           {"보류한 까닭", "Why held"},
		"state":              {"상태", "State"},
		"no_attempts":        {"공장에 아직 보내지 않았습니다.", "The factory was not asked yet."},
		"attempt_n":          {"시도 %s", "Attempt %s"},
		"attempt_of":         {"%s개", "%s piece|%s pieces"},
		"attempt_sent":       {"공장에 보냄", "sent to the factory"},
		"attempt_tries":      {"(%s번째)", "(try %s)"},
		"attempt_answered":   {"공장의 응답", "the factory answered"},
		"attempt_unanswered": {"쓸 만한 응답이 없음", "no usable answer"},
		"attempt_due":        {"까지 콜백을 기다림", "is when its callback is overdue"},
		"callback":           {"콜백", "Callback"},
		"n_booked":           {"%s개 입고", "%s booked"},
		"n_held":             {"%s개 보류", "%s held"},
		"n_refused":          {"%s개 거절", "%s refused"},
		"late":               {"늦음", "late"},
		"repeated":           {"%s번 반복", "repeated %s time|repeated %s times"},
		"came":               {"온 때", "Came"},
		"claimed":            {"보고한 수량", "Claimed"},
		"booked":             {"입고", "Booked"},
		"held":               {"보류", "Held"},
		"refused":            {"거절", "Refused"},
		"repeats":            {"반복", "Repeats"},
		"sender":             {"보낸 곳", "Sent from"},
		"body_kept":          {"남겨 둔 본문", "The body that was kept"},
	}
}

// messageWords are about queues, mails and advertisements.
func messageWords() map[string][2]string {
	return map[string][2]string{
		"queue":           {"대기열", "Queue"},
		"waits":           {"대기", "Waiting"},
		"in_flight":       {"처리 중", "In flight"},
		"dead":            {"처리 못 함", "Dead"},
		"oldest":          {"가장 오래된 것", "Oldest"},
		"dead_letters":    {"처리 못 한 메시지", "Dead letters"},
		"dead_letters_n":  {"처리 못 한 메시지 %s건", "%s dead letter|%s dead letters"},
		"no_dead_letters": {"처리 못 한 메시지가 없습니다.", "There is no dead letter."},
		"dead_since":      {"멈춘 때", "Dead since"},
		"still_needed":    {"아직 필요한가", "Still needed?"},
		"receives":        {"시도", "Receives"},
		"received_n":      {"%s번 시도", "received %s time|received %s times"},
		"letter_gone":     {"더는 처리 못 한 메시지가 아닙니다. 누가 처리했을 수 있습니다.", "It is no dead letter any more; somebody may have dealt with it."},
		"failures":        {"실패한 시도", "Failures"},
		"no_failures":     {"남은 기록이 없습니다.", "Nothing was recorded."},
		"receive_n":       {"%s번째", "receive %s"},
		"body":            {"본문", "Body"},
		"holds":           {"광고 중단 요청", "Advertisements on hold"},
		"no_holds":        {"중단을 요청한 광고가 없습니다.", "No advertisement was asked to stop."},
		"stop_sent":       {"중단 요청", "stop sent"},
		"acknowledged":    {"확인", "acknowledged"},
		"resume_sent":     {"재개 안내", "resume sent"},
		"mails":           {"최근 메일", "Last mails"},
		"no_mails":        {"보낸 메일이 없습니다.", "No mail was sent."},
		"unanswered":      {"답이 없음", "no answer"},
		"unsure":          {"갔는지 모름", "may have arrived"},
		"tried_n":         {"%s번 보내 봄", "tried %s time|tried %s times"},
		"on_its_way":      {"보내는 중", "on its way"},
		"operations":      {"운영팀", "operations"},
		"digests_wait":    {"보내지 못한 메일 %s통", "%s mail could not be sent yet|%s mails could not be sent yet"},
	}
}

// actWords are what people do, and what is said then.
func actWords() map[string][2]string {
	return map[string][2]string{
		"approve":            {"승인", "Approve"},
		"reject":             {"반려", "Reject"},
		"order_again":        {"다시 발주", "Order again"},
		"wait_on":            {"더 기다림", "Wait"},
		"wait_hours":         {"기다릴 시간", "Hours to wait"},
		"write_off":          {"포기", "Write off"},
		"approve_receipt":    {"입고 승인", "Approve"},
		"refuse":             {"거절", "Refuse"},
		"count":              {"수량", "Count"},
		"redrive":            {"다시 처리", "Redrive"},
		"redrive_stale":      {"그래도 다시 처리", "Redrive all the same"},
		"discard":            {"버림", "Discard"},
		"pause_ordering":     {"발주 멈추기", "Pause ordering"},
		"resume_ordering":    {"발주 다시 시작", "Resume ordering"},
		"ordering_is_paused": {"발주가 멈춰 있습니다.", "Ordering is paused."},

		"not_done":             {"하지 못했습니다.", "Not done."},
		"done_order_approve":   {"발주를 승인했습니다.", "The order is approved."},
		"done_order_reject":    {"발주를 반려했습니다.", "The order is rejected."},
		"done_order_retry":     {"다시 발주합니다.", "The order will be placed again."},
		"done_order_wait":      {"더 기다립니다.", "The order waits on."},
		"done_order_write_off": {"발주를 포기했습니다.", "The order is written off."},
		"done_receipt_approve": {"입고를 승인했습니다.", "The goods are booked."},
		"done_receipt_refuse":  {"입고를 거절했습니다.", "The goods are refused."},
		"done_ad_acknowledge":  {"적어 두었습니다.", "It is noted."},
		"done_dead_redrive":    {"메시지를 다시 처리합니다.", "The message is back on its queue."},
		"done_dead_discard":    {"메시지를 버렸습니다.", "The message is discarded."},
		"done_ordering_pause":  {"발주를 멈췄습니다.", "Ordering is paused."},
		"done_ordering_resume": {"발주를 다시 시작했습니다.", "Ordering goes on."},
		"done_checks":          {"점검을 시작했습니다.", "The check has begun."},
	}
}

// roleWords are the names of what a session may do and of what stock needs.
func roleWords() map[string][2]string {
	return map[string][2]string{
		"role_operator": {"운영자", "operator"},
		"role_viewer":   {"조회", "viewer"},

		"urgency_out_of_stock": {"품절", "out of stock"},
		"urgency_low":          {"부족", "low"},
		"urgency_on_order":     {"발주 중", "on order"},
		"urgency_healthy":      {"충분", "healthy"},

		"ordering_auto":   {"자동", "automatic"},
		"ordering_review": {"승인 후", "after review"},
		"ordering_off":    {"안 함", "off"},
	}
}

// stateWords are the states of orders and attempts.
func stateWords() map[string][2]string {
	return map[string][2]string{
		"state_planned":           {"보낼 예정", "planned"},
		"state_awaiting_approval": {"승인 대기", "awaits approval"},
		"state_sending":           {"보내는 중", "sending"},
		"state_unknown":           {"응답 없음", "unknown"},
		"state_accepted":          {"공장 접수", "accepted"},
		"state_overdue":           {"늦음", "overdue"},
		"state_partly_received":   {"일부 받음", "partly received"},
		"state_held":              {"보류", "held"},
		"state_received":          {"받음", "received"},
		"state_closed_short":      {"덜 받고 끝남", "closed short"},

		"attempt_sending":  {"보내는 중", "sending"},
		"attempt_not_sent": {"못 보냄", "not sent"},
		"attempt_unknown":  {"응답 없음", "unknown"},
		"attempt_accepted": {"접수", "accepted"},
		"attempt_rejected": {"거부됨", "rejected"},
		"attempt_overdue":  {"늦음", "overdue"},
		"attempt_received": {"받음", "received"},
	}
}

// valueWords are the names of all other values. Their keys are the kind of the
// value, a line, and the value.
func valueWords() map[string][2]string {
	return map[string][2]string{
		"cause_low":    {"재고 부족", "low stock"},
		"cause_import": {"가져오기나 정책 변경", "import or changed policy"},
		"cause_manual": {"사람이 발주", "by hand"},

		"receipt_applied":   {"입고", "booked"},
		"receipt_duplicate": {"중복", "duplicate"},
		"receipt_held":      {"보류", "held"},
		"receipt_refused":   {"거절", "refused"},

		"movement_opening":    {"처음 재고", "opening"},
		"movement_sale":       {"판매", "sale"},
		"movement_receipt":    {"입고", "receipt"},
		"movement_adjustment": {"조정", "adjustment"},
		"movement_return":     {"반품", "return"},

		"need_needed":  {"필요", "needed"},
		"need_stale":   {"불필요", "stale"},
		"need_unknown": {"모름", "unknown"},

		"hold_stopping":  {"중단 요청 중", "asking to stop"},
		"hold_stopped":   {"중단 요청함", "stop asked"},
		"hold_resuming":  {"재개 안내 중", "telling to resume"},
		"hold_resumed":   {"재개 안내함", "resume told"},
		"hold_withdrawn": {"취소됨", "withdrawn"},

		"incident_queue_old":    {"대기열이 밀려 있습니다.", "A queue stands still."},
		"incident_relay_stuck":  {"메시지가 브로커로 나가지 못하고 있습니다.", "Messages do not get to the broker."},
		"incident_engine_away":  {"브로커가 답하지 않습니다.", "The broker does not answer."},
		"incident_dead_letters": {"처리 못 한 메시지가 있습니다.", "There are dead letters."},

		"answer_stop":   {"광고를 멈췄다고 적기", "It is stopped"},
		"answer_resume": {"광고를 다시 켰다고 적기", "It runs again"},

		"mailkind_ad_stop":            {"광고 중단 요청", "stop the advertisement"},
		"mailkind_ad_stop_reminder":   {"광고 중단 재요청", "reminder to stop"},
		"mailkind_ad_resume":          {"광고 재개 안내", "the advertisement can resume"},
		"mailkind_ad_resume_reminder": {"광고 재개 재안내", "reminder to resume"},
		"mailkind_digest":             {"알림 모음", "digest"},

		"act_order.approve":        {"발주 승인", "order approved"},
		"act_order.reject":         {"발주 반려", "order rejected"},
		"act_order.retry":          {"다시 발주", "order retried"},
		"act_order.wait":           {"더 기다림", "order told to wait"},
		"act_order.write_off":      {"발주 포기", "order written off"},
		"act_order.create":         {"직접 발주", "order made"},
		"act_order.reconcile":      {"공장 장부와 대조", "order reconciled"},
		"act_ordering.pause":       {"발주 멈춤", "ordering paused"},
		"act_ordering.resume":      {"발주 다시 시작", "ordering resumed"},
		"act_product.snooze":       {"발주 쉼", "product snoozed"},
		"act_product.wake":         {"발주 쉼 끝냄", "product woken"},
		"act_product.fewer_orders": {"동시 발주 한도 낮춤", "fewer open orders allowed"},
		"act_queue.forget":         {"대기열 엔진 잊음", "queue engine forgotten"},
		"act_receipt.approve":      {"입고 승인", "receipt approved"},
		"act_receipt.refuse":       {"입고 거절", "receipt refused"},
		"act_receipt.book":         {"직접 입고", "goods booked"},
		"act_ad.acknowledge":       {"광고 담당자 대신 답함", "answered for the ad manager"},
		"act_dead.redrive":         {"메시지 다시 처리", "message redriven"},
		"act_dead.discard":         {"메시지 버림", "message discarded"},

		"act_webhook.create":        {"구독 추가", "subscription added"},
		"act_webhook.change":        {"구독 변경", "subscription changed"},
		"act_webhook.rotate-secret": {"구독의 서명 키 교체", "secret of a subscription rotated"},
		"act_webhook.remove":        {"구독 삭제", "subscription removed"},
		"act_webhook.replay":        {"구독에 이벤트 다시 보냄", "event sent to a subscription again"},
		"act_database.restore":      {"백업에서 되살림", "restored from a backup"},
		"act_factory.secret_make":   {"공장 비밀값 생성", "factory's secret made"},
		"act_factory.secret_remove": {"공장 비밀값 삭제", "factory's secret removed"},
	}
}
