//! The answers to ordinary outcomes. The contract says that they never change, so the host asks the rules once for
//! each.

use std::sync::OnceLock;

use super::result::Ordinary;
use crate::{
    error::Error,
    types::{Answer, Form, Verb},
};

#[derive(Default)]
pub(super) struct RememberedAnswers {
    try_lock: [ByOutcome; 2],
    unlock: [ByOutcome; 2],
}

type ByOutcome = [OnceLock<Answer>; Ordinary::ALL.len()];

impl RememberedAnswers {
    /// The answer. `ask` gets it the first time.
    pub(super) fn get(
        &self,
        verb: Verb,
        form: Form,
        outcome: Ordinary,
        ask: impl FnOnce() -> Result<Answer, Error>,
    ) -> Result<Answer, Error> {
        let by_form = match verb {
            Verb::TryLock => &self.try_lock,
            Verb::Unlock => &self.unlock,
            _ => return ask(),
        };
        let remembered = &by_form[form as usize][outcome as usize];
        if let Some(answer) = remembered.get() {
            return Ok(answer.clone());
        }
        let answer = ask()?;
        Ok(remembered.get_or_init(|| answer).clone())
    }
}
