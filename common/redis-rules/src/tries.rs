//! How often a command is tried, in which form, and when.

use core::time::Duration;

use crate::{backoff::Backoff, refusal::RetryAdvice, release::Form};

/// The tries of one command, or of opening a connection.
#[derive(Debug)]
pub struct Tries {
    retries: u32,
    backoff: Backoff,
    failures: u32,
    form: Form,
}

/// What to do after a try that changed nothing in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again now.
    Now,
    /// Try again after this wait.
    After(Duration),
    /// Try no more.
    GiveUp,
}

impl Tries {
    /// Starts before the first try. After `retries` failures the next failure is final.
    pub fn new(retries: u32, backoff: Backoff) -> Self {
        Self { retries, backoff, failures: 0, form: Form::Short }
    }

    /// The form in which the next try sends a script.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Decides what to do after the server refused the command. `random` is any number.
    pub fn refused(&mut self, advice: RetryAdvice, random: u64) -> Next {
        match advice {
            RetryAdvice::InFull { .. } if self.form == Form::Short => {
                self.form = Form::Full;
                Next::Now
            }
            RetryAdvice::Later | RetryAdvice::Elsewhere => self.failed(random),
            RetryAdvice::InFull { .. } | RetryAdvice::No => Next::GiveUp,
        }
    }

    /// Decides what to do after a try that failed for a reason that may pass. `random` is any number.
    pub fn failed(&mut self, random: u64) -> Next {
        if self.failures == self.retries {
            return Next::GiveUp;
        }
        self.failures += 1;
        Next::After(self.backoff.after(self.failures, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(5);

    fn tries(retries: u32) -> Tries {
        Tries::new(retries, Backoff { min: WAIT, max: WAIT })
    }

    #[test]
    fn a_refusal_that_may_pass_is_tried_as_often_as_allowed() {
        let mut tries = tries(2);
        assert_eq!(tries.refused(RetryAdvice::Later, 0), Next::After(WAIT));
        assert_eq!(tries.refused(RetryAdvice::Elsewhere, 0), Next::After(WAIT));
        assert_eq!(tries.failed(0), Next::GiveUp);
    }

    #[test]
    fn a_refusal_that_stays_is_final() {
        assert_eq!(tries(2).refused(RetryAdvice::No, 0), Next::GiveUp);
    }

    #[test]
    fn a_forgotten_script_costs_no_retry_and_is_sent_in_full_once() {
        let mut tries = tries(0);
        assert_eq!(tries.form(), Form::Short);
        assert_eq!(tries.refused(RetryAdvice::InFull { once: true }, 0), Next::Now);
        assert_eq!(tries.form(), Form::Full);
        assert_eq!(tries.refused(RetryAdvice::InFull { once: true }, 0), Next::GiveUp);
    }
}
