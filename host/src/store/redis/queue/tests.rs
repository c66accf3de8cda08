//! The queue with replies, callers that leave, and time.

use std::task::Waker;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// The lock `k` for a minute.
fn minute(owner: &str) -> Wanted<'_> {
    Wanted { key: "k", owner, ttl: MINUTE, token_key: None }
}

/// The server's clock, in seconds since 1970.
const NOW: u64 = 1_700_000_000;

fn time(seconds: u64) -> String {
    format!("*2\r\n$10\r\n{seconds}\r\n$1\r\n0\r\n")
}

/// A queue that knows the server's clock to five seconds.
fn queue_with_clock() -> Queue {
    let asked = Instant::now() - Duration::from_secs(5);
    let mut queue = Queue { origin: asked, ..Queue::new(None) };
    queue.set_clock(NOW * 1_000_000, asked);
    queue
}

/// Acquires `k` for `me`, and sends all bytes.
fn acquire(queue: &mut Queue) -> (usize, String) {
    let number = queue.acquire(minute("me"), Instant::now());
    (number, send(queue))
}

fn send(queue: &mut Queue) -> String {
    let mut batch = Vec::new();
    queue.take_bytes(&mut batch);
    queue.handed_over(batch.len());
    String::from_utf8(batch).unwrap()
}

fn receive(queue: &mut Queue, replies: &str) -> Result<usize, Nonsense> {
    queue.receive(replies.as_bytes(), &mut Vec::new())
}

fn answer(queue: &mut Queue, number: usize) -> Option<Result<ServerAnswer, NoAnswer>> {
    match queue.poll(number, &Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn lock() -> Option<UnusedGrant> {
    Some(UnusedGrant { key: "k".to_owned(), owner: "me".to_owned(), asking: false })
}

/// The same, with a replica that must have each lock.
fn guarded_queue() -> Queue {
    Queue { guard: Guard::new(1, false, Some(Duration::from_secs(3))), ..queue_with_clock() }
}

const WAIT: &str = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n1000\r\n";

#[test]
fn a_batch_asks_once_whether_replicas_have_it() {
    let mut queue = guarded_queue();
    let one = queue.acquire(minute("one"), Instant::now());
    let extend = Extend { key: "e", owner: "me", ttl: 60_000, may_shorten: false };
    let extended = queue.extend(extend, Instant::now());
    let sent = send(&mut queue);
    assert_eq!(sent.matches(WAIT).count(), 1, "{sent}");
    assert!(sent.ends_with(&format!("{WAIT}*1\r\n$4\r\nTIME\r\n")), "{sent}");
    receive(&mut queue, "+OK\r\n:60000\r\n").unwrap();
    assert!(answer(&mut queue, one).is_none() && answer(&mut queue, extended).is_none());
    receive(&mut queue, ":1\r\n").unwrap();
    assert!(answer(&mut queue, one).is_none());
    assert!(matches!(answer(&mut queue, extended), Some(Ok(ServerAnswer::Extended(_)))));
    receive(&mut queue, &time(NOW + 1)).unwrap();
    assert!(matches!(answer(&mut queue, one), Some(Ok(ServerAnswer::Granted(_)))));
}

#[test]
fn what_comes_while_the_server_waits_for_replicas_goes_out_together() {
    let mut queue = guarded_queue();
    acquire(&mut queue);
    for owner in ["one", "two"] {
        queue.acquire(minute(owner), Instant::now());
        assert!(queue.has_bytes() && !queue.may_send());
    }
    receive(&mut queue, &format!("+OK\r\n:1\r\n{}", time(NOW + 1))).unwrap();
    assert!(queue.may_send());
    assert_eq!(send(&mut queue).matches(WAIT).count(), 1);
    // If the network takes a batch in parts, its rest must not wait for an answer.
    receive(&mut queue, &format!("$-1\r\n$-1\r\n:1\r\n{}", time(NOW + 1))).unwrap();
    queue.acquire(minute("three"), Instant::now());
    let length = queue.bytes().len();
    queue.drain(length - 1);
    assert!(queue.may_send());
}

#[test]
fn what_too_few_replicas_have_does_not_count() {
    let mut queue = guarded_queue();
    let (number, _) = acquire(&mut queue);
    let extend = Extend { key: "e", owner: "me", ttl: 60_000, may_shorten: false };
    receive(&mut queue, "+OK\r\n:0\r\n").unwrap();
    let Some(Ok(ServerAnswer::TooFewReplicas { cause, expiry, ends })) = answer(&mut queue, number)
    else {
        panic!()
    };
    assert_eq!(cause, "only 0 of 1 replicas have the lock (minReplicas)");
    assert!(expiry.is_some() && ends.is_some_and(|ends| ends > Instant::now()));
    // The clock that follows finds nothing to confirm.
    receive(&mut queue, &time(NOW + 1)).unwrap();

    let extended = queue.extend(extend, Instant::now());
    send(&mut queue);
    receive(&mut queue, ":60000\r\n:0\r\n").unwrap();
    let expected = (None, None);
    let Some(Ok(ServerAnswer::TooFewReplicas { expiry, ends, .. })) = answer(&mut queue, extended)
    else {
        panic!()
    };
    assert_eq!((expiry, ends), expected);
}

#[test]
fn a_grant_of_a_caller_who_left_is_given_back_if_too_few_replicas_have_it() {
    let mut queue = guarded_queue();
    let (number, _) = acquire(&mut queue);
    queue.leave(number, lock());
    receive(&mut queue, "+OK\r\n:0\r\n").unwrap();
    assert!(send(&mut queue).contains("PEXPIRETIME"));
}

#[test]
fn without_a_clock_replicas_alone_confirm() {
    let guard = Guard::new(1, false, None);
    let mut queue = Queue::new(guard);
    let (number, sent) = acquire(&mut queue);
    assert!(sent.contains("WAIT") && !sent.contains("TIME"), "{sent}");
    receive(&mut queue, "+OK\r\n").unwrap();
    assert!(answer(&mut queue, number).is_none());
    receive(&mut queue, ":1\r\n").unwrap();
    assert!(matches!(answer(&mut queue, number), Some(Ok(ServerAnswer::Granted(_)))));
    let (number, _) = acquire(&mut queue);
    receive(&mut queue, "+OK\r\n-NOPERM no\r\n").unwrap();
    let Some(Ok(ServerAnswer::TooFewReplicas { cause, ends, .. })) = answer(&mut queue, number)
    else {
        panic!()
    };
    assert_eq!((cause.as_str(), ends.is_some()), ("NOPERM no (minReplicas)", true));
}

#[test]
fn a_grant_counts_once_the_clock_was_read_after_it() {
    let mut queue = queue_with_clock();
    let (number, sent) = acquire(&mut queue);
    assert!(sent.contains("\r\nPXAT\r\n$13\r\n17000000"), "{sent}");
    assert!(sent.ends_with("*1\r\n$4\r\nTIME\r\n"), "{sent}");
    receive(&mut queue, "+OK\r\n").unwrap();
    assert!(answer(&mut queue, number).is_none());
    receive(&mut queue, &time(NOW + 1)).unwrap();
    let Some(Ok(ServerAnswer::Granted(granted))) = answer(&mut queue, number) else { panic!() };
    assert_eq!(granted.left, MINUTE);
    assert!(granted.expiry.is_some_and(|expiry| expiry >= (NOW + 60) * 1_000));
}

#[test]
fn one_reading_of_the_clock_serves_a_batch() {
    let mut queue = queue_with_clock();
    for _ in 0..3 {
        queue.acquire(minute("me"), Instant::now());
    }
    assert_eq!(send(&mut queue).matches("TIME").count(), 1);
    queue.release(&["EVAL"], Instant::now());
    assert_eq!(send(&mut queue).matches("TIME").count(), 0);
}

#[test]
fn a_clock_that_was_set_forward_grants_no_phantom() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 3_600))).unwrap();
    let set = answer(&mut queue, number);
    assert!(matches!(set, Some(Ok(ServerAnswer::ClockWasSet { .. }))), "{set:?}");
    // The next lock uses the new clock.
    let (_, sent) = acquire(&mut queue);
    assert!(sent.contains("\r\nPXAT\r\n$13\r\n170000366"), "{sent}");
}

#[test]
fn a_slow_reply_does_not_blur_the_clock() {
    let asked = Instant::now() - Duration::from_secs(2);
    let mut queue = Queue { origin: asked, ..Queue::new(None) };
    let close = queue.reading(NOW * 1_000_000, asked, asked);
    queue.clock = Some(close);
    acquire(&mut queue);
    let slow = Entry::Clock(asked + Duration::from_secs(1));
    *queue.order.back_mut().unwrap() = slow;
    receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 2))).unwrap();
    assert_eq!(queue.clock, Some(close));
}

#[test]
fn every_acquire_learns_that_its_expiry_is_unknown_and_the_clock_stays_given_up() {
    let mut queue = queue_with_clock();
    let first = queue.acquire(minute("me"), Instant::now());
    let (second, _) = acquire(&mut queue);
    receive(&mut queue, "-ERR syntax error\r\n").unwrap();
    queue.forget_clock();
    receive(&mut queue, &format!("-ERR syntax error\r\n{}", time(NOW + 1))).unwrap();
    for number in [first, second] {
        let answer = answer(&mut queue, number);
        assert!(matches!(answer, Some(Ok(ServerAnswer::UnknownExpiry(_)))), "{answer:?}");
    }
    assert!(queue.clock.is_none());
    // This acquire has no expiry by the clock, so the error counts as a refusal.
    let (third, _) = acquire(&mut queue);
    receive(&mut queue, "-ERR syntax error\r\n").unwrap();
    let refused = answer(&mut queue, third);
    assert!(matches!(refused, Some(Ok(ServerAnswer::Refused(_)))), "{refused:?}");
}

#[test]
fn a_grant_that_the_clock_is_missing_for_is_overdue_in_time() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    receive(&mut queue, "+OK\r\n").unwrap();
    let (limit, now) = (Duration::from_secs(3), Instant::now());
    let next = queue.expire(limit, now, &mut Vec::new());
    assert!(next.is_some_and(|next| next <= now + limit), "{next:?}");
    assert!(!queue.is_stuck(limit, now));
    let later = now + limit;
    assert_eq!(queue.expire(limit, later, &mut Vec::new()), None);
    let overdue = answer(&mut queue, number);
    assert!(matches!(overdue, Some(Err(NoAnswer::Unknown { .. }))), "{overdue:?}");
    assert!(queue.is_stuck(limit, later));
}

#[test]
fn a_lock_without_the_clock_has_a_time_to_live() {
    let mut queue = Queue::new(None);
    let (number, sent) = acquire(&mut queue);
    assert!(sent.contains("\r\nPX\r\n$5\r\n60000\r\n") && !sent.contains("TIME"), "{sent}");
    receive(&mut queue, "+OK\r\n").unwrap();
    let Some(Ok(ServerAnswer::Granted(granted))) = answer(&mut queue, number) else { panic!() };
    assert_eq!((granted.expiry, granted.left), (None, MINUTE));
}

#[test]
fn a_server_that_stops_telling_its_clock_gets_the_grant_back() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    receive(&mut queue, "+OK\r\n-NOPERM no\r\n").unwrap();
    let lost = answer(&mut queue, number);
    assert!(matches!(lost, Some(Ok(ServerAnswer::ClockLost { ends: Some(_), .. }))), "{lost:?}");
    assert!(queue.clock.is_none());
    // Its caller has left.
    queue.leave(number, lock());
    assert!(send(&mut queue).contains("PEXPIRETIME"));
}

#[test]
fn a_proxy_that_got_no_reply_leaves_the_outcome_open() {
    let mut queue = Queue::new(None);
    let (acquire, _) = acquire(&mut queue);
    let release = queue.release(&["EVAL"], Instant::now());
    send(&mut queue);
    receive(&mut queue, "-upstream failure\r\n-ERR Connection timed out\r\n").unwrap();
    let taken = answer(&mut queue, acquire);
    assert!(
        matches!(taken, Some(Err(NoAnswer::Unknown { lasts: Some(lasts), .. })) if lasts > MINUTE),
        "{taken:?}"
    );
    let freed = answer(&mut queue, release);
    assert!(matches!(freed, Some(Err(NoAnswer::Unknown { lasts: None, .. }))), "{freed:?}");
}

#[test]
fn a_reply_that_no_command_can_have_is_nonsense() {
    for reply in [":1\r\n", "+QUEUED\r\n", "$2\r\nOK\r\n", "x"] {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        assert_eq!(receive(&mut queue, reply), Err(Nonsense), "{reply}");
        assert!(answer(&mut queue, number).is_none());
    }
    let mut queue = Queue::new(None);
    assert_eq!(receive(&mut queue, "+OK\r\n"), Err(Nonsense));
    let number = queue.release(&["EVAL"], Instant::now());
    assert_eq!(receive(&mut queue, ":0\r\n"), Err(Nonsense));
    assert!(answer(&mut queue, number).is_none());
}

#[test]
fn a_grant_that_the_server_cannot_take_back_for_the_moment_is_given_back_again() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    queue.leave(number, lock());
    receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
    let given_back = send(&mut queue);
    assert!(given_back.contains("EVAL"), "{given_back}");
    assert_eq!(queue.next_give_back(), None);
    for _ in 0..3 {
        receive(&mut queue, "-BUSY Redis is busy running a script.\r\n").unwrap();
        assert!(queue.lingers_until().is_some());
        let next = queue.next_give_back().unwrap();
        assert!(!queue.give_back_again(next - Duration::from_millis(1)) && !queue.has_bytes());
        assert!(queue.give_back_again(next));
        assert_eq!(send(&mut queue), given_back);
    }
    receive(&mut queue, ":1\r\n").unwrap();
    assert!(!queue.postpones() && queue.lingers_until().is_none());
}

#[test]
fn a_grant_is_given_back_again_only_while_a_late_reply_may_come() {
    let mut queue = queue_with_clock();
    queue.give_back_until(&lock().unwrap(), 1, Instant::now());
    send(&mut queue);
    receive(&mut queue, "-BUSY Redis is busy running a script.\r\n").unwrap();
    assert!(!queue.postpones());
    // An error that lasts is no reason to try again.
    queue.give_back(&lock().unwrap(), 1);
    send(&mut queue);
    receive(&mut queue, "-NOPERM no\r\n").unwrap();
    assert!(!queue.postpones() && queue.lingers_until().is_none());
}

#[test]
fn a_clock_that_is_not_told_for_the_moment_is_still_used() {
    for (line, used) in [("BUSY Redis is busy running a script.", true), ("NOPERM no", false)] {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        receive(&mut queue, &format!("+OK\r\n-{line}\r\n")).unwrap();
        let lost = answer(&mut queue, number);
        assert!(matches!(lost, Some(Ok(ServerAnswer::ClockLost { .. }))), "{lost:?}");
        let (_, sent) = acquire(&mut queue);
        assert_eq!(sent.contains("PXAT"), used, "{sent}");
    }
}

#[test]
fn a_command_that_was_not_sent_completely_was_not_done() {
    let mut queue = queue_with_clock();
    let whole = queue.release(&["EVAL", "1"], Instant::now());
    let length = queue.bytes().len();
    let part = queue.release(&["EVAL", "2"], Instant::now());
    queue.drain(length + 1);
    queue.close(&Cause::Lost, &mut Vec::new());
    let lost = answer(&mut queue, whole);
    assert!(matches!(lost, Some(Err(NoAnswer::Unknown { lasts: None, .. }))), "{lost:?}");
    let lost = answer(&mut queue, part);
    assert!(matches!(lost, Some(Err(NoAnswer::Unsent(_)))), "{lost:?}");
}

#[test]
fn a_lost_acquire_lasts_until_its_expiry() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    queue.close(&Cause::Lost, &mut Vec::new());
    let Some(Err(NoAnswer::Unknown { lasts: Some(lasts), .. })) = answer(&mut queue, number) else {
        panic!();
    };
    assert!(lasts <= MINUTE + Duration::from_secs(6), "{lasts:?}");
}

#[test]
fn a_grant_whose_caller_has_left_is_given_back() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    queue.leave(number, lock());
    receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
    let sent = send(&mut queue);
    assert!(sent.contains("PEXPIRETIME") && sent.contains("\r\nme\r\n$13\r\n17000000"), "{sent}");
    receive(&mut queue, ":1\r\n").unwrap();
    assert_eq!((queue.len(), queue.left, queue.calls.len()), (0, 0, 0));
}

#[test]
fn a_grant_of_a_node_that_was_asked_for_it_is_given_back_in_the_same_way() {
    const ASKING: &str = "*1\r\n$6\r\nASKING\r\n";
    let mut queue = queue_with_clock();
    queue.asking();
    let (number, sent) = acquire(&mut queue);
    assert_eq!(sent.matches(ASKING).count(), 1, "{sent}");
    let lock = UnusedGrant { asking: true, ..lock().unwrap() };
    queue.leave(number, Some(lock));
    receive(&mut queue, &format!("+OK\r\n+OK\r\n{}", time(NOW + 1))).unwrap();
    let sent = send(&mut queue);
    assert!(sent.starts_with(&format!("{ASKING}*6\r\n$4\r\nEVAL\r\n")), "{sent}");
    assert!(sent.contains("PEXPIRETIME"), "{sent}");
    receive(&mut queue, "+OK\r\n:1\r\n").unwrap();
    assert_eq!((queue.len(), queue.left, queue.calls.len()), (0, 0, 0));
}

#[test]
fn a_grant_that_its_caller_never_took_is_given_back() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
    queue.leave(number, lock());
    assert!(send(&mut queue).contains("PEXPIRETIME"));
}

#[test]
fn nothing_is_given_back_after_a_lock_that_was_held() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    queue.leave(number, lock());
    receive(&mut queue, &format!("$-1\r\n{}", time(NOW + 1))).unwrap();
    assert_eq!((send(&mut queue), queue.calls.len()), (String::new(), 0));
}

#[test]
fn a_grant_to_give_back_differs_from_every_later_one() {
    let mut queue = queue_with_clock();
    let at = Instant::now();
    let number = queue.acquire(minute("me"), at);
    queue.leave(number, lock());
    let later = queue.acquire(minute("me"), at);
    let expiry = |number: usize| match queue.calls[number].kind {
        CallKind::Acquire { lifetime: Lifetime::Until(term), .. } => term.expiry(),
        _ => panic!(),
    };
    assert_eq!(expiry(later), expiry(number) + 1);
}

/// The bytes that are sent after two acquires of one owner in the same millisecond, in two batches with these replies.
/// The caller of the first has left.
fn after_twins(replies: [&str; 2]) -> String {
    let mut queue = queue_with_clock();
    let at = Instant::now();
    let first = queue.acquire(minute("me"), at);
    send(&mut queue);
    queue.acquire(minute("me"), at);
    queue.leave(first, lock());
    send(&mut queue);
    for reply in replies {
        receive(&mut queue, &format!("{reply}{}", time(NOW + 1))).unwrap();
    }
    send(&mut queue)
}

#[test]
fn a_grant_that_is_indistinguishable_from_another_is_kept() {
    assert_eq!(after_twins(["+OK\r\n", "+OK\r\n"]), "");
}

#[test]
fn a_grant_is_given_back_once_another_that_looked_the_same_was_denied() {
    let sent = after_twins(["+OK\r\n", "$-1\r\n"]);
    assert_eq!(sent.matches("PEXPIRETIME").count(), 1, "{sent}");
}

#[test]
fn a_command_that_waits_to_be_sent_is_unknown_when_its_time_is_over() {
    let mut queue = queue_with_clock();
    let (limit, now) = (Duration::from_secs(1), Instant::now());
    let acquire = queue.acquire(minute("me"), now);
    let release = queue.release(&["EVAL"], now);
    assert_eq!(queue.expire(limit, now + limit, &mut Vec::new()), None);
    let answers = [acquire, release].map(|number| answer(&mut queue, number));
    let [Some(Err(acquired)), Some(Err(released))] = answers else { panic!("{answers:?}") };
    assert!(matches!(acquired, NoAnswer::Unknown { lasts: Some(_), .. }), "{acquired:?}");
    assert!(matches!(released, NoAnswer::Unknown { lasts: None, .. }), "{released:?}");
}

#[test]
fn a_reply_of_another_shape_makes_no_sense() {
    let text = |reply: &Reply| matches!(reply, Reply::Nil | Reply::Text(_));
    for (reply, makes_sense) in [
        ("$-1\r\n", true),
        ("$1\r\na\r\n", true),
        ("-ERR no\r\n", true),
        (":1\r\n", false),
        ("+OK\r\n", false),
    ] {
        let mut queue = queue_with_clock();
        queue.other(&["EVAL"], text, Instant::now());
        assert_eq!(receive(&mut queue, reply).is_ok(), makes_sense, "{reply}");
    }
}

#[test]
fn a_grant_is_given_back_though_another_lock_expires_at_the_same_time() {
    let mut queue = queue_with_clock();
    let at = Instant::now();
    let first = queue.acquire(minute("me"), at);
    queue.acquire(minute("other"), at);
    queue.leave(first, lock());
    send(&mut queue);
    receive(&mut queue, &format!("+OK\r\n$-1\r\n{}", time(NOW + 1))).unwrap();
    assert!(send(&mut queue).contains("PEXPIRETIME"));
}

#[test]
fn an_overdue_call_has_no_answer_but_may_get_one() {
    let mut queue = queue_with_clock();
    let (number, _) = acquire(&mut queue);
    let limit = Duration::from_secs(1);
    let now = Instant::now();
    assert!(!queue.is_stuck(limit, now));
    assert!(queue.expire(limit, now, &mut Vec::new()).is_some());
    assert!(answer(&mut queue, number).is_none());

    let later = now + limit;
    assert!(queue.is_stuck(limit, later));
    assert_eq!(queue.expire(limit, later, &mut Vec::new()), None);
    let overdue = answer(&mut queue, number);
    assert!(matches!(overdue, Some(Err(NoAnswer::Unknown { .. }))), "{overdue:?}");
    queue.leave(number, lock());
    assert!(queue.lingers_until().is_some());
    receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
    assert!(send(&mut queue).contains("PEXPIRETIME"));
}

/// Adds acquires of different locks.
fn add(queue: &mut Queue, count: usize) {
    for _ in 0..count {
        queue.acquire(minute("me"), Instant::now());
    }
}

#[test]
fn a_write_is_filled_by_a_quarter_of_the_callers_while_the_server_has_little_to_do() {
    let mut queue = queue_with_clock();
    add(&mut queue, 3);
    assert!(!queue.fills_a_write());
    add(&mut queue, 1);
    assert!(queue.fills_a_write());
    send(&mut queue);
    assert!(!queue.fills_a_write());
    // The server has four commands and the question for the clock: more than half of eight.
    add(&mut queue, 4);
    assert!(!queue.fills_a_write());
    add(&mut queue, 2);
    assert!(queue.fills_a_write());
    send(&mut queue);
    let mut queue = queue_with_clock();
    add(&mut queue, 30);
    send(&mut queue);
    let granted = "+OK\r\n".repeat(30) + &time(NOW + 1);
    assert_eq!(receive(&mut queue, &granted), Ok(granted.len()));
    // The callers have not taken their answers yet.
    add(&mut queue, 8);
    assert!(!queue.fills_a_write());
    add(&mut queue, 2);
    assert!(queue.fills_a_write());
}

#[test]
fn where_replicas_must_have_locks_only_the_driver_fills_writes() {
    let mut queue = guarded_queue();
    add(&mut queue, 8);
    assert!(queue.may_send() && !queue.fills_a_write());
}
