//! Reads a server's answers to the [questions](crate::probes::Probe) that follow the login. The server may refuse
//! any of them: the answers only make locks better.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

use crate::{
    clock,
    fitness::{self, Doubt, Expected, Unfit},
    reply::Reply,
};

/// Why a server does not report a fact itself.
const ANSWERED_BY_PROXY: &str = "a proxy answers in its place";
const NONSENSE: &str = "it answers nonsense";

/// Why the locks of a server may end before their time, by its reply to [`fitness::ASK`].
///
/// # Errors
///
/// [`Unfit`] if locks cannot be kept in the server.
pub fn doubts(info: &Reply, expected: Expected) -> Result<Vec<Doubt>, Unfit> {
    let silent = |reason: &str| vec![Doubt::Silent(reason.to_owned())];
    match info {
        Reply::Text(text) => {
            let doubts = fitness::check(text, expected)?;
            Ok(if is_of_a_proxy(info) { silent(ANSWERED_BY_PROXY) } else { doubts })
        }
        Reply::Error(line) => Ok(silent(line)),
        _ => Ok(silent(NONSENSE)),
    }
}

/// The digest of a script, from the reply to the command that loads it; `None` if the server did not load it.
pub fn script(reply: Reply) -> Option<String> {
    match reply {
        Reply::Text(digest) => Some(digest),
        _ => None,
    }
}

/// The server's clock, in microseconds since 1970, by its replies to [`fitness::ASK`] and [`clock::ASK`]. A reply that
/// makes no sense [is no answer](crate::probes::Probe::is_answered_by), and does not come here.
///
/// # Errors
///
/// The reason why the server does not report its clock.
pub fn clock(info: &Reply, time: Reply) -> Result<u64, String> {
    match time {
        _ if is_of_a_proxy(info) => Err(ANSWERED_BY_PROXY.to_owned()),
        Reply::Error(line) => Err(line),
        time => clock::read(&time).map_err(|_| ANSWERED_BY_PROXY.to_owned()),
    }
}

fn is_of_a_proxy(info: &Reply) -> bool {
    matches!(info, Reply::Text(info) if fitness::is_of_a_proxy(info))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Role;

    const ALONE: Expected = Expected { role: Role::Alone, db: 0 };

    fn refused() -> Reply {
        Reply::Error("NOPERM no".into())
    }

    fn time() -> Reply {
        Reply::Texts(vec!["1".into(), "5".into()])
    }

    #[test]
    fn a_server_may_refuse_every_question() {
        assert_eq!(doubts(&refused(), ALONE), Ok(vec![Doubt::Silent("NOPERM no".into())]));
        assert_eq!(script(refused()), None);
        assert_eq!(clock(&refused(), refused()), Err("NOPERM no".into()));
    }

    #[test]
    fn a_server_answers() {
        let info = Reply::Text("role:master\r\naof_enabled:0\r\n".into());
        assert_eq!(doubts(&info, ALONE), Ok(vec![Doubt::NotPersistent]));
        assert_eq!(script(Reply::Text("digest".into())).as_deref(), Some("digest"));
        assert_eq!(clock(&info, time()), Ok(1_000_005));
    }

    #[test]
    fn a_replica_is_unfit() {
        let info = Reply::Text("role:slave\r\n".into());
        assert_eq!(doubts(&info, ALONE), Err(Unfit::Replica));
    }

    #[test]
    fn the_clock_of_a_proxy_is_not_used() {
        let envoy = Reply::Text("redis_mode:cluster\r\ncluster_enabled:1\r\n".into());
        assert_eq!(clock(&envoy, time()), Err(ANSWERED_BY_PROXY.into()));
        assert_eq!(doubts(&envoy, ALONE), Ok(vec![Doubt::Silent(ANSWERED_BY_PROXY.into())]));
    }

    #[test]
    fn the_clock_of_a_proxy_that_does_not_say_what_it_is_is_not_used() {
        let envoy = Reply::Texts(vec!["1".into(), "1000005".into()]);
        assert_eq!(clock(&refused(), envoy), Err(ANSWERED_BY_PROXY.into()));
    }
}
