//! The export `json`: the verbs in the wire form of Dapr's HTTP API, over the imported store.

use alloc::{string::String, vec::Vec};

use holdfast_rules::{
    json, steps,
    types::{
        AcquireCommand, AcquireStep, Answer, Begun, Form, Outcome, ReleaseCommand, ReleaseStep,
        Reply, Verb,
    },
};

use crate::{
    Component,
    bindings::{json::Guest, store},
    imported,
};

impl Guest for Component {
    fn try_lock(store: String, body: Vec<u8>) -> Reply {
        call(Verb::TryLock, store, &body)
    }

    fn unlock(store: String, body: Vec<u8>) -> Reply {
        call(Verb::Unlock, store, &body)
    }
}

fn call(verb: Verb, store: String, body: &[u8]) -> Reply {
    let scope = match imported::scope() {
        Ok(scope) => scope,
        Err(error) => return json::refusal(verb, &error),
    };
    let outcome = match json::begin(scope.named(&store), verb, body) {
        Begun::Acquire(AcquireStep { key, owner, ttl, .. }) => {
            let owner = owner.unwrap_or_default();
            let acquired =
                store::acquire(&AcquireCommand { store, key, owner, ttl, wait: 0, fenced: false });
            acquired.map_or_else(Outcome::Failed, Outcome::Acquired)
        }
        Begun::Release(ReleaseStep { key, owner }) => {
            let owner = owner.unwrap_or_default();
            let released = store::release(&ReleaseCommand { store, key, owner });
            released.map_or_else(Outcome::Failed, Outcome::Released)
        }
        Begun::Answered(answer) => return reply(answer),
        _ => panic!("the step of another verb"),
    };
    reply(steps::end(verb, Form::Json, outcome))
}

/// The reply in an answer in JSON form. A call in JSON form gets no other answer.
fn reply(answer: Answer) -> Reply {
    let Answer::Json(answer) = answer else { panic!("an answer in typed form") };
    answer.reply
}
