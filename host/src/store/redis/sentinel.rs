//! Redis Sentinel: where the master is, and when it moves.
//!
//! All sentinels are asked at once, and the newest configuration counts, because a sentinel that was cut off from the
//! others may name a master that was replaced. So the question waits for a majority of the sentinels, if it can be
//! reached.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::{join, join_all};
use holdfast_redis_rules::{address::Address, login::Login, settings::Sentinel};
use redis::{FromRedisValue, Value};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    ask_all::{Answers, add_servers, ask_all},
    dial_error::DialError,
    driver::Timeouts,
    epoch::Epoch,
    session::{Session, bounded, nonsense},
    stream::Streams,
};

/// The largest number of known sentinels.
const MAX_SENTINELS: usize = 64;

/// How often the sentinels are asked where the master is, in case none has reported a move.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long to wait after a subscription that failed or ended.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// The channel on which a sentinel reports that a master has moved.
const SWITCH: &str = "+switch-master";

/// The sentinels of a master.
pub(super) struct Sentinels {
    sentinel: Sentinel,
    streams: Arc<Streams>,
    timeouts: Timeouts,
    /// How long a sentinel may take to answer.
    limit: Duration,
    learned: Mutex<Learned>,
}

/// The reports of sentinels.
#[derive(Default)]
struct Learned {
    /// Sentinels that are not in the settings.
    others: Vec<Address>,
    /// The newest configuration.
    epoch: Epoch,
    /// The master in the newest configuration.
    master: Option<Address>,
    /// How many reports have counted.
    times: u64,
}

/// The joint report of some sentinels.
struct Report {
    /// The master in the newest configuration that one of them knows.
    master: Address,
    epoch: u64,
    /// The other sentinels that they know.
    others: Vec<Address>,
    /// Whether a majority of the sentinels gave the report.
    of_majority: bool,
    /// The value of [`Learned::times`] when they were asked.
    asked_at: u64,
}

/// The report of one sentinel about the master.
struct MasterReport {
    /// The address of the master.
    master: Address,
    /// The number of the sentinel's configuration. The larger of two numbers is the newer configuration.
    epoch: u64,
    /// The other sentinels that it knows.
    others: Vec<Address>,
}

impl Sentinels {
    pub(super) fn new(
        sentinel: Sentinel,
        streams: Arc<Streams>,
        timeouts: Timeouts,
        limit: Duration,
    ) -> Self {
        Self { sentinel, streams, timeouts, limit, learned: Mutex::default() }
    }

    /// Where the master is, by the newest configuration that a sentinel knows.
    pub(super) async fn master(&self) -> Result<Address, DialError> {
        let what = "no sentinel reported the master";
        let (known, asked_at) = self.known();
        // Sentinels also name others that are gone for good, or give addresses of others that lead nowhere from here.
        let counted = match self.sentinel.sentinels.len() {
            1 => known.len(),
            listed => listed,
        };
        let Answers { answers, of_majority } =
            ask_all(known, counted, what, |sentinel| self.ask(sentinel)).await?;
        let (epoch, master) = newest(&answers, self.reported_master().as_ref())
            .ok_or_else(|| DialError::passing(what.to_owned()))?;
        let others = answers.into_iter().flat_map(|it| it.others).collect();
        self.learn(Report { master: master.clone(), epoch, others, of_majority, asked_at })?;
        Ok(master)
    }

    /// The master that was reported last.
    pub(super) fn reported_master(&self) -> Option<Address> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).master.clone()
    }

    /// Whether this is the master that was reported last.
    pub(super) fn is_reported_master(&self, address: &Address) -> bool {
        self.reported_master().is_none_or(|master| master == *address)
    }

    /// Where each known sentinel reports the master.
    pub(super) async fn survey(&self) -> Vec<(Address, Result<Address, DialError>)> {
        let asked = self.known().0.into_iter().map(async |sentinel| {
            let told = self.ask(sentinel.clone()).await.map(|answer| answer.master);
            (sentinel, told)
        });
        join_all(asked).await
    }

    /// Calls `tell` each time that the master may have moved, and `refused` with the reason if a sentinel will not
    /// report moves. Never ends.
    pub(super) async fn follow(&self, mut tell: impl FnMut(), refused: impl Fn(String)) {
        let moved = Notify::new();
        let looks = async {
            loop {
                // The sentinels are asked at this interval too if they report nothing.
                let _ = timeout(LOOK_INTERVAL, moved.notified()).await;
                // Each sentinel has its limit. The same limit around all of them could end before a few answers count.
                if self.master().await.is_ok() {
                    tell();
                }
            }
        };
        join(looks, self.listen(&moved, refused)).await;
    }

    /// Listens to one sentinel after the other.
    async fn listen(&self, moved: &Notify, refused: impl Fn(String)) {
        let mut next = 0;
        loop {
            let (known, _) = self.known();
            let sentinel = &known[next % known.len()];
            if let Err(error) = self.subscribe(sentinel, moved).await {
                tracing::debug!(
                    "not listening for failovers at the sentinel {sentinel}: {}",
                    error.cause
                );
                if !error.may_pass {
                    refused(error.cause);
                }
            }
            next += 1;
            sleep(SUBSCRIBE_PAUSE).await;
        }
    }

    /// Listens to one sentinel until the sentinel is gone.
    async fn subscribe(&self, sentinel: &Address, moved: &Notify) -> Result<(), DialError> {
        let hands = AtomicBool::new(false);
        let opening = async {
            let mut session = self.session(sentinel, &hands).await?;
            session.accepted(&["SUBSCRIBE", SWITCH]).await?;
            Ok(session)
        };
        let mut session = bounded(Some(self.limit), opening, &hands).await?;
        // No sentinel will report earlier moves.
        moved.notify_one();
        let mut is_asked = false;
        loop {
            match timeout(LOOK_INTERVAL, session.next()).await {
                Ok(told) => {
                    is_asked = false;
                    if self.is_about_the_master(&told?) {
                        moved.notify_one();
                    }
                }
                Err(_) if is_asked => {
                    return Err(DialError::passing("it is silent".to_owned()));
                }
                Err(_) => {
                    session.send(&["PING"]).await?;
                    is_asked = true;
                }
            }
        }
    }

    /// Whether a message names the master: `mymaster OLD-HOST OLD-PORT NEW-HOST NEW-PORT`.
    fn is_about_the_master(&self, told: &Value) -> bool {
        let Value::Array(parts) = told else { return false };
        let words = parts.last().and_then(|last| String::from_redis_value_ref(last).ok());
        words.is_some_and(|words| {
            words.strip_prefix(&self.sentinel.master).is_some_and(|rest| rest.starts_with(' '))
        })
    }

    async fn ask(&self, sentinel: Address) -> Result<MasterReport, DialError> {
        let hands = AtomicBool::new(false);
        let answer = bounded(Some(self.limit), self.answer(&sentinel, &hands), &hands).await;
        answer.map_err(|mut error| {
            if error.cause.starts_with("ERR unknown command") {
                error.cause.push_str(" (with failover, redisHost lists sentinels)");
            }
            error
        })
    }

    async fn answer(
        &self,
        sentinel: &Address,
        shaking_hands: &AtomicBool,
    ) -> Result<MasterReport, DialError> {
        let mut session = self.session(sentinel, shaking_hands).await?;
        let name = self.sentinel.master.as_str();
        // A user may be permitted only the question for the address. The number is asked for first: if the sentinel
        // takes over a new configuration in between, the answer is the new address with the old number, never the
        // reverse.
        let about = session.ask(&["SENTINEL", "MASTER", name]).await.unwrap_or(Value::Nil);
        let epoch = field(&about, "config-epoch").and_then(|epoch| epoch.parse().ok());
        let master = session.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).await?;
        let Some(master) = address(&master)? else {
            let name = &self.sentinel.master;
            return Err(DialError::lasting(format!("it knows no master named {name}")));
        };
        let others = session.ask(&["SENTINEL", "SENTINELS", name]).await.unwrap_or(Value::Nil);
        let others = match &others {
            Value::Array(others) => others.iter().filter_map(listed).collect(),
            _ => Vec::new(),
        };
        Ok(MasterReport { master, epoch: epoch.unwrap_or(0), others })
    }

    async fn session(
        &self,
        sentinel: &Address,
        shaking_hands: &AtomicBool,
    ) -> Result<Session, DialError> {
        let login = Login::to_sentinel(&self.sentinel);
        Session::open(&self.streams, sentinel, &login, self.timeouts, shaking_hands).await
    }

    /// The sentinels of the settings, then the learned ones; and [`Learned::times`].
    fn known(&self) -> (Vec<Address>, u64) {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let sentinels = self.sentinel.sentinels.iter().chain(&learned.others).cloned();
        (sentinels.collect(), learned.times)
    }

    /// Notes the report of sentinels. Fails if the report does not count.
    fn learn(&self, report: Report) -> Result<(), DialError> {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = learned.take(&report);
        if counts.is_ok() {
            learned.others.clear();
        }
        // Notes the others even if the report does not count: if all sentinels were replaced, a majority of those that
        // are asked next may report this.
        let others = report.others.into_iter();
        let unlisted = others.filter(|other| !self.sentinel.sentinels.contains(other));
        add_servers(&mut learned.others, unlisted, MAX_SENTINELS);
        counts
    }
}

impl Learned {
    /// Takes over the reported configuration, unless it is older than this one. A report that was asked for before this
    /// configuration was learned never leads back.
    fn take(&mut self, report: &Report) -> Result<(), DialError> {
        let old = "the sentinels that answered have an old configuration";
        let is_overtaken = self.times != report.asked_at;
        let mut epoch = self.epoch;
        epoch.learn(report.epoch, report.of_majority && !is_overtaken, old)?;
        if is_overtaken
            && self.epoch.is(report.epoch)
            && self.master.as_ref() != Some(&report.master)
        {
            return Err(DialError::passing(old.to_owned()));
        }
        self.epoch = epoch;
        self.master = Some(report.master.clone());
        self.times += 1;
        Ok(())
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentinel.fmt(f)
    }
}

/// The newest configuration. If it has several addresses, prefers the address that was `told` last, because sentinels
/// may give the same master by name and by address.
fn newest(answers: &[MasterReport], told: Option<&Address>) -> Option<(u64, Address)> {
    let newest =
        answers.iter().max_by_key(|answer| (answer.epoch, Some(&answer.master) == told))?;
    Some((newest.epoch, newest.master.clone()))
}

/// A host and a port; `None` for an unknown master.
fn address(value: &Value) -> Result<Option<Address>, DialError> {
    match value {
        Value::Nil => Ok(None),
        value => {
            let (host, port) =
                <(String, u16)>::from_redis_value_ref(value).map_err(|_| nonsense())?;
            Ok(Some(Address { host, port }))
        }
    }
}

/// The address of a sentinel in another sentinel's list.
fn listed(about: &Value) -> Option<Address> {
    let (host, port) = (field(about, "ip")?, field(about, "port")?.parse().ok()?);
    Some(Address { host, port }).filter(|address| !address.host.is_empty())
}

/// The value of a name in a list of names and values.
fn field(about: &Value, name: &str) -> Option<String> {
    let words = match about {
        Value::Array(words) => words,
        _ => return None,
    };
    let text = |value: &Value| String::from_redis_value_ref(value).ok();
    let found = words.chunks_exact(2).find(|pair| text(&pair[0]).as_deref() == Some(name))?;
    text(&found[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_configuration_counts_and_the_name_reported_last() {
        let address = |host: &str| Address { host: host.to_owned(), port: 1 };
        let said = |epoch, host| MasterReport { master: address(host), epoch, others: Vec::new() };
        let last = address("name");
        for hosts in [["name", "127.0.0.1", "old"], ["old", "127.0.0.1", "name"]] {
            let answers = hosts.map(|host| said(if host == "old" { 1 } else { 2 }, host));
            assert_eq!(newest(&answers, Some(&last)), Some((2, last.clone())));
        }
        let moved = [said(2, "name"), said(3, "new")];
        assert_eq!(newest(&moved, Some(&last)), Some((3, address("new"))));
        assert_eq!(newest(&moved, None), Some((3, address("new"))));
        assert_eq!(newest(&[], Some(&last)), None);
    }

    fn at(host: &str) -> Address {
        Address { host: host.to_owned(), port: 1 }
    }

    /// The report of a majority, asked after this many reports.
    fn told(epoch: u64, master: &str, asked_at: u64) -> Report {
        let others = Vec::new();
        Report { master: at(master), epoch, others, of_majority: true, asked_at }
    }

    fn of_few(report: Report) -> Report {
        Report { of_majority: false, ..report }
    }

    fn naming(others: &[&str], report: Report) -> Report {
        Report { others: others.iter().map(|other| at(other)).collect(), ..report }
    }

    /// The learned master, and the number of reports.
    fn learned(learned: &Learned) -> (Option<&str>, u64) {
        (learned.master.as_ref().map(|master| &*master.host), learned.times)
    }

    #[test]
    fn what_was_asked_before_a_newer_configuration_was_learned_does_not_lead_back() {
        let mut known = Learned::default();
        assert_eq!(known.take(&told(7, "new", 0)), Ok(()));
        // A late report does not lead back, even from a majority or with the same number.
        for late in [told(6, "old", 0), told(7, "old", 0)] {
            known.take(&late).unwrap_err();
            assert_eq!(learned(&known), (Some("new"), 1));
        }
        // The report may confirm the known master, and lead on.
        assert_eq!(known.take(&told(7, "new", 0)), Ok(()));
        assert_eq!(known.take(&of_few(told(8, "newer", 0))), Ok(()));
        assert_eq!(learned(&known), (Some("newer"), 3));
    }

    #[test]
    fn the_same_number_may_have_another_name_of_the_master_if_it_was_asked_since() {
        let mut known = Learned::default();
        assert_eq!(known.take(&told(7, "127.0.0.1", 0)), Ok(()));
        assert_eq!(known.take(&of_few(told(7, "name", 1))), Ok(()));
        assert_eq!(learned(&known), (Some("name"), 2));
    }

    #[test]
    fn only_a_majority_that_was_asked_since_starts_over() {
        let mut known = Learned::default();
        assert_eq!(known.take(&told(7, "m", 0)), Ok(()));
        known.take(&of_few(told(1, "anew", 1))).unwrap_err();
        known.take(&told(1, "anew", 0)).unwrap_err();
        assert_eq!(learned(&known), (Some("m"), 1));
        assert_eq!(known.take(&told(1, "anew", 1)), Ok(()));
        assert_eq!(learned(&known), (Some("anew"), 2));
        // After that, these sentinels count as before.
        known.take(&of_few(told(0, "m", 2))).unwrap_err();
        assert_eq!(known.take(&of_few(told(2, "next", 2))), Ok(()));
    }

    #[test]
    fn sentinels_of_a_report_that_does_not_count_are_asked_next() {
        let listed = Sentinel {
            master: "mymaster".to_owned(),
            sentinels: vec![at("listed")],
            username: None,
            password: None,
        };
        let streams = Arc::new(Streams::new(None, None).unwrap());
        let timeouts = Timeouts { reply: None, send: None };
        let sentinels = Sentinels::new(listed, streams, timeouts, Duration::from_secs(1));
        let asked = || {
            let (known, times) = sentinels.known();
            (known.into_iter().map(|it| it.host).collect::<Vec<_>>().join(" "), times)
        };
        assert_eq!(asked(), ("listed".to_owned(), 0));
        let first = naming(&["gone", "listed"], told(7, "m", 0));
        assert_eq!(sentinels.learn(first), Ok(()));
        assert_eq!(asked(), ("listed gone".to_owned(), 1));
        for _ in 0..2 {
            let anew = naming(&["a", "b"], of_few(told(1, "m", 1)));
            sentinels.learn(anew).unwrap_err();
            assert_eq!(asked(), ("listed gone a b".to_owned(), 1));
        }
        // After the report counts, the sentinels that are gone are not asked any more.
        let counts = naming(&["a", "b"], told(1, "m", 1));
        assert_eq!(sentinels.learn(counts), Ok(()));
        assert_eq!(asked(), ("listed a b".to_owned(), 2));
    }
}
