//! The questions to the server on a new connection. Some proxies close it on commands that they do not know: this finds
//! the questions on which it is closed.
//!
//! A connection may also be lost by chance. So one loss proves nothing, a question that was ever answered is never left
//! out, and every opening of a connection asks all questions again.

use crate::{clock, disk, fitness, release::LOAD_RELEASE, reply::Reply};

/// A question to the server on a new connection. The connection can be used without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The login that names Redis's own user.
    User,
    /// What the server is. A server that closes the connection on this question is asked nothing else.
    Info,
    /// Whether the server remembers the script that releases a lock.
    Script,
    /// The server's clock.
    Time,
    /// When the server writes its append-only file.
    Policy,
}

impl Probe {
    /// The questions that follow the login, and can be sent at once.
    pub const FACTS: [Self; 3] = [Self::Info, Self::Script, Self::Time];

    /// The words of the question. The words of [`User`](Self::User) are the login's.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::User => &[],
            Self::Info => &fitness::ASK,
            Self::Script => &LOAD_RELEASE,
            Self::Time => &clock::ASK,
            Self::Policy => &disk::ASK,
        }
    }

    /// Whether this reply is an answer, or a refusal to give one. After any other reply, nothing on the connection may
    /// be believed. This matters for [`Info`](Self::Info) and [`Time`](Self::Time), which decide whether locks are
    /// safe.
    pub fn is_answered_by(self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Info | Self::Time, Reply::Error(_)) => true,
            (Self::Info, reply) => matches!(reply, Reply::Text(_)),
            (Self::Time, reply) => clock::read(reply).is_ok() || clock::is_of_a_proxy(reply),
            _ => true,
        }
    }
}

/// Why the server does not answer a question that is left out.
pub const CLOSES: &str = "it closes the connection instead of answering";

/// After how many losses a question is left out.
const LOSSES_TO_LEAVE_OUT: u32 = 2;

/// What earlier connections have shown about a server.
#[derive(Debug, Default)]
pub struct ProbeHistory {
    probes: [ProbeState; 5],
    /// Whether a connection was lost on a question. Questions are then no longer sent at once, so that it is known
    /// which one loses the connection.
    lost: bool,
}

/// What connections have shown about one question.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProbeRecord {
    answered: bool,
    losses: u32,
}

impl ProbeRecord {
    /// Notes that the server has answered the question in any way.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// Notes that a connection was lost in place of an answer. Returns whether the question closes connections.
    pub fn lost(&mut self) -> bool {
        if self.answered {
            return false;
        }
        self.losses = self.losses.saturating_add(1);
        self.losses >= LOSSES_TO_LEAVE_OUT
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ProbeState {
    record: ProbeRecord,
    left_out: bool,
}

/// A connection was lost on a question that the server has answered before: by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostByChance;

impl ProbeHistory {
    /// Begins to open a connection, on which every question is asked.
    pub fn begin(&mut self) {
        self.probes.iter_mut().for_each(|state| state.left_out = false);
    }

    /// Whether the questions may be sent at once.
    pub fn at_once(&self) -> bool {
        !self.lost
    }

    /// Whether to ask this question on the next connection.
    pub fn asks(&self, probe: Probe) -> bool {
        let left_out = |probe: Probe| self.probes[probe as usize].left_out;
        !left_out(probe) && (probe == Probe::User || !left_out(Probe::Info))
    }

    /// Whether the server has answered a question.
    pub fn has_answers(&self) -> bool {
        self.probes.iter().any(|state| state.record.answered)
    }

    /// Whether every question was asked on the connection.
    pub fn left_nothing_out(&self) -> bool {
        self.probes.iter().all(|state| !state.left_out)
    }

    /// Notes that the server has answered the question in any way.
    pub fn answered(&mut self, probe: Probe) {
        self.probes[probe as usize].record.answered();
    }

    /// Notes that the connection was lost in place of an answer. The caller may open another connection at once.
    ///
    /// # Errors
    ///
    /// [`LostByChance`] if the question does not close connections.
    pub fn lost(&mut self, probe: Probe) -> Result<(), LostByChance> {
        let was_alone = core::mem::replace(&mut self.lost, true);
        let state = &mut self.probes[probe as usize];
        state.left_out = state.record.lost();
        // If questions were sent at once, another question may have closed the connection.
        if state.record.answered && was_alone { Err(LostByChance) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn what_makes_no_sense_is_no_answer() {
        let time = |seconds: &str, rest: &str| Reply::Texts(vec![seconds.into(), rest.into()]);
        let refusal = Reply::Error("NOPERM no".into());
        for probe in [Probe::Info, Probe::Time] {
            assert!(probe.is_answered_by(&refusal), "{probe:?}");
            for nonsense in [Reply::Okay, Reply::Integer(1), Reply::Nil, time("1", "x")] {
                assert!(!probe.is_answered_by(&nonsense), "{probe:?}: {nonsense:?}");
            }
        }
        assert!(Probe::Info.is_answered_by(&Reply::Text("role:master".into())));
        assert!(!Probe::Time.is_answered_by(&Reply::Text("role:master".into())));
        assert!(Probe::Time.is_answered_by(&time("1700000000", "123456")));
        // Envoy's.
        assert!(Probe::Time.is_answered_by(&time("1700000000", "1700000000123456")));
    }

    #[test]
    fn a_question_is_left_out_after_two_losses_and_asked_again_later() {
        let mut probes = ProbeHistory::default();
        probes.begin();
        assert!(probes.at_once());
        assert_eq!(probes.lost(Probe::Info), Ok(()));
        assert!(!probes.at_once() && probes.asks(Probe::Info));
        assert_eq!(probes.lost(Probe::Info), Ok(()));
        for probe in Probe::FACTS {
            assert!(!probes.asks(probe), "{probe:?}");
        }
        assert!(probes.asks(Probe::User) && !probes.left_nothing_out());

        probes.begin();
        assert!(probes.asks(Probe::Info) && probes.left_nothing_out());
        assert_eq!(probes.lost(Probe::Info), Ok(()));
        assert!(!probes.asks(Probe::Info));
    }

    #[test]
    fn a_question_that_was_answered_is_never_left_out() {
        let mut probes = ProbeHistory::default();
        probes.begin();
        probes.answered(Probe::Info);
        assert_eq!(probes.lost(Probe::Time), Ok(()));
        for _ in 0..3 {
            assert_eq!(probes.lost(Probe::Info), Err(LostByChance));
            assert!(probes.asks(Probe::Info));
        }
    }

    #[test]
    fn a_question_that_is_left_out_costs_no_other() {
        let mut probes = ProbeHistory::default();
        probes.begin();
        probes.answered(Probe::Info);
        // Sent at once, the reply to the first may be lost with the others.
        assert_eq!(probes.lost(Probe::Info), Ok(()));
        assert_eq!(probes.lost(Probe::Time), Ok(()));
        assert_eq!(probes.lost(Probe::Time), Ok(()));
        assert!(!probes.asks(Probe::Time));
        for probe in [Probe::Info, Probe::Script, Probe::Policy] {
            assert!(probes.asks(probe), "{probe:?}");
        }
    }
}
