//! The questions that follow the login on a new connection, and what the answers say of the server.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

use crate::{
    clock,
    fitness::{self, Doubt, Expected, Unfit},
    release::LOAD_RELEASE,
    reply::Reply,
};

/// The words of each question, to be sent at once.
pub const QUESTIONS: [&[&str]; 3] = [&fitness::ASK, &LOAD_RELEASE, &clock::ASK];

/// Why a server does not say something itself.
const OF_A_PROXY: &str = "a proxy answers in its place";
const NONSENSE: &str = "it answers nonsense";

/// What a server says of itself. It may refuse any of the questions: the answers only make locks better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Why its locks may end before their time.
    pub doubts: Vec<Doubt>,
    /// The digest of the script that releases a lock, if the server has stored it.
    pub script: Option<String>,
    /// Its clock, in microseconds since 1970, or why it does not report it.
    pub clock: Result<u64, String>,
}

impl Facts {
    /// Reads the answers to [`QUESTIONS`], in order.
    ///
    /// # Errors
    ///
    /// [`Unfit`] if locks cannot be kept in the server.
    pub fn read([info, script, time]: [Reply; 3], expected: Expected) -> Result<Self, Unfit> {
        let of_a_proxy = matches!(&info, Reply::Text(info) if fitness::is_of_a_proxy(info));
        let silent = |reason: &str| vec![Doubt::Silent(reason.to_owned())];
        let doubts = match info {
            Reply::Text(info) => {
                let doubts = fitness::check(&info, expected)?;
                if of_a_proxy { silent(OF_A_PROXY) } else { doubts }
            }
            Reply::Error(line) => silent(&line),
            _ => silent(NONSENSE),
        };
        let script = match script {
            Reply::Text(digest) => Some(digest),
            _ => None,
        };
        let clock = match time {
            _ if of_a_proxy => Err(OF_A_PROXY.to_owned()),
            Reply::Error(line) => Err(line),
            time => clock::read(&time).map_err(|_| NONSENSE.to_owned()),
        };
        Ok(Self { doubts, script, clock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Role;

    const ALONE: Expected = Expected { role: Role::Alone, db: 0 };

    fn refused() -> Reply {
        Reply::Error("NOPERM no".into())
    }

    #[test]
    fn a_server_may_refuse_every_question() {
        let facts = Facts::read([refused(), refused(), refused()], ALONE).unwrap();
        let doubts = vec![Doubt::Silent("NOPERM no".into())];
        let nothing = Facts { doubts, script: None, clock: Err("NOPERM no".into()) };
        assert_eq!(facts, nothing);
    }

    #[test]
    fn answers_are_read_in_the_order_of_the_questions() {
        let info = Reply::Text("role:master\r\naof_enabled:0\r\n".into());
        let time = Reply::Texts(vec!["1".into(), "5".into()]);
        let facts = Facts::read([info, Reply::Text("digest".into()), time], ALONE).unwrap();
        assert_eq!(facts.doubts, [Doubt::NotPersistent]);
        assert_eq!(facts.script.as_deref(), Some("digest"));
        assert_eq!(facts.clock, Ok(1_000_005));
    }

    #[test]
    fn a_replica_is_unfit() {
        let info = Reply::Text("role:slave\r\n".into());
        assert_eq!(Facts::read([info, refused(), refused()], ALONE), Err(Unfit::Replica));
    }

    #[test]
    fn the_clock_of_a_proxy_is_not_used() {
        let time = Reply::Texts(vec!["1".into(), "5".into()]);
        let envoy = Reply::Text("redis_mode:cluster\r\ncluster_enabled:1\r\n".into());
        let facts = Facts::read([envoy, refused(), time], ALONE).unwrap();
        assert_eq!(facts.clock, Err(OF_A_PROXY.into()));
        assert_eq!(facts.doubts, [Doubt::Silent(OF_A_PROXY.into())]);
    }

    #[test]
    fn a_clock_that_makes_no_sense_is_not_used() {
        let facts = Facts::read([refused(), refused(), Reply::Okay], ALONE).unwrap();
        assert_eq!(facts.clock, Err("it answers nonsense".into()));
    }
}
