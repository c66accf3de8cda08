//! Properties that must hold for events in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::{
    proxy::Proxy,
    state::{Call, Fate},
};

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request with this method, which chooses its lock, for one of these resources.
    Arrive(u8, u8),
    /// Holdfast answers one of the open calls.
    Answer(u8, Answer),
    /// A request whose turn it is gets a part of its response or its end, or one that is paused gets the proxy's own.
    Respond(u8, bool),
    /// A request is gone.
    End(u8),
    /// So many milliseconds pass.
    Pass(u16),
    /// The proxy sends calls from now on, or does not.
    SendsCalls(bool),
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Right,
    /// The server carried out the call, and the answer is lost.
    Unheard,
    /// The server did nothing.
    Failed,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let answer = prop_oneof![6 => Just(Answer::Right), 1 => Just(Answer::Unheard), 1 => Just(Answer::Failed)];
    vec(
        prop_oneof![
            8 => (0..4_u8, 0..2_u8).prop_map(|(lock, resource)| Event::Arrive(lock, resource)),
            12 => (any::<u8>(), answer).prop_map(|(call, answer)| Event::Answer(call, answer)),
            6 => (any::<u8>(), any::<bool>()).prop_map(|(request, last)| Event::Respond(request, last)),
            3 => any::<u8>().prop_map(Event::End),
            2 => (0..400_u16).prop_map(Event::Pass),
            1 => prop::bool::weighted(0.7).prop_map(Event::SendsCalls),
        ],
        1..200,
    )
}

const METHODS: [&str; 4] = ["GET", "PUT", "POST", "DELETE"];

/// A proxy whose server is a model of Holdfast.
struct World {
    proxy: Proxy,
    /// The requests that have not ended, and their resources and methods.
    requests: BTreeMap<u32, (String, &'static str)>,
    /// The owner of each resource that is locked.
    locked: BTreeMap<String, String>,
    /// The owner of each request that goes on with a lock.
    holds: BTreeMap<u32, String>,
    /// Every owner that was granted a lock.
    granted: BTreeSet<String>,
    /// The owners whose release the server was asked for.
    released: BTreeSet<String>,
    /// The owners whose latest release failed.
    failed: BTreeSet<String>,
    /// The owners that may have locks, as far as the filter knows.
    unsettled: BTreeSet<String>,
    /// The owners that were left to expire.
    left: BTreeSet<String>,
    /// The calls that were seen, and whether each is a further try of a release.
    seen: BTreeMap<u32, bool>,
}

impl World {
    fn new() -> Self {
        let lock = |name: &str, fields: serde_json::Value| {
            let mut lock = json!({
                "name": name, "match": {"methods": [name]}, "store": "s", "resource": "{:path}", "ttl": "600s",
                "fenced": true,
            });
            lock.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            lock
        };
        let proxy = Proxy::with_locks(json!([
            lock("GET", json!({})),
            lock("PUT", json!({"wait": "0.2s", "onClientGone": "free"})),
            lock("POST", json!({"wait": "0.5s", "inDoubt": "open"})),
            lock("DELETE", json!({"wait": "0.3s", "inDoubt": "open", "onClientGone": "free"})),
        ]));
        Self {
            proxy,
            requests: BTreeMap::new(),
            locked: BTreeMap::new(),
            holds: BTreeMap::new(),
            granted: BTreeSet::new(),
            released: BTreeSet::new(),
            failed: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            left: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(lock, resource) => {
                let (method, path) = (METHODS[usize::from(lock)], format!("/{resource}"));
                let id = self.proxy.request(&[(":method", method), (":path", &path)]);
                self.requests.insert(id, (path, method));
            }
            Event::Answer(choice, answer) => {
                if let Some(call) = chosen(&self.proxy.calls(), choice) {
                    self.answer(call, answer);
                }
            }
            Event::Respond(choice, last) => {
                let requests: Vec<_> = self.requests.keys().collect();
                if let Some(&&id) = chosen(&requests, choice) {
                    self.respond(id, last);
                }
            }
            Event::End(choice) => {
                let requests: Vec<_> = self.requests.keys().copied().collect();
                if let Some(&id) = chosen(&requests, choice) {
                    self.end(id);
                }
            }
            Event::Pass(milliseconds) => self.proxy.pass(milliseconds.into()),
            Event::SendsCalls(sends) => self.proxy.sends_calls(sends),
        }
        self.check();
    }

    fn answer(&mut self, call: &Call, answer: Answer) {
        let (resource, owner) = (call.resource().to_owned(), call.owner().to_owned());
        let (done, heard) = (!matches!(answer, Answer::Failed), matches!(answer, Answer::Right));
        let body = if call.verb() == "acquire" {
            let free = !self.locked.contains_key(&resource);
            if free && done {
                self.locked.insert(resource, owner.clone());
                self.granted.insert(owner.clone());
            }
            if heard && !free {
                self.unsettled.remove(&owner);
            }
            json!({"success": free, "fencingToken": self.granted.len().to_string()})
        } else {
            let held = self.locked.get(&resource) == Some(&owner);
            if held && done {
                self.locked.remove(&resource);
            }
            if heard {
                self.unsettled.remove(&owner);
            } else {
                self.failed.insert(owner.clone());
            }
            json!({"status": if held { 0 } else { 1 }})
        };
        match answer {
            Answer::Right => self.proxy.answer(call, 200, &body.to_string()),
            Answer::Unheard | Answer::Failed => self.proxy.lose(call),
        }
        if call.verb() == "acquire" && self.granted.contains(&owner) {
            // Others may go on at the same time, because nobody knows who has their lock.
            let number = self.granted.len().to_string();
            let has = |id: &&u32| {
                self.proxy.header(**id, "holdfast-fencing-token").as_deref() == Some(&number)
            };
            let mut got = self.requests.keys().filter(has);
            if let Some(&id) = got.next() {
                assert_eq!(self.proxy.fate(id), Fate::GoesOn);
                assert_eq!(got.next(), None, "two go on by one grant");
                self.holds.insert(id, owner);
            }
        }
    }

    fn respond(&mut self, id: u32, last: bool) {
        self.proxy.respond(id, last);
        if last {
            self.holds.remove(&id);
        }
        // The proxy ends a request that it answers itself.
        if last || self.proxy.fate(id) == Fate::Paused {
            self.end(id);
        }
    }

    fn end(&mut self, id: u32) {
        self.proxy.end(id);
        let (_, method) = self.requests.remove(&id).unwrap();
        if let Some(owner) = self.holds.remove(&id)
            && matches!(method, "GET" | "POST")
        {
            self.unsettled.remove(&owner);
            self.left.insert(owner);
        }
    }

    fn check(&mut self) {
        for call in self.proxy.take_unsent() {
            if call.verb() == "release" {
                self.released.insert(call.owner().to_owned());
                self.failed.insert(call.owner().to_owned());
            }
        }
        let (mut asked, mut busy) = (BTreeSet::new(), BTreeSet::new());
        for call in self.proxy.calls() {
            let is_further_try = self.see(&call);
            assert!(
                is_further_try || asked.insert(call.resource().to_owned()),
                "two calls about {}",
                call.resource()
            );
            assert!(busy.insert(call.owner().to_owned()), "two calls of {}", call.owner());
        }
        let mut held = BTreeSet::new();
        for id in self.holds.keys() {
            let resource = &self.requests[id].0;
            assert!(held.insert(resource), "two requests go on with {resource}");
            assert!(!asked.contains(resource), "a call about {resource}, which is held here");
        }
        busy.extend(self.holds.values().cloned());
        let waits = self.requests.keys().any(|id| self.proxy.fate(*id) == Fate::Paused)
            || self.unsettled.difference(&busy).next().is_some();
        assert!(waits || self.proxy.tick_period() == 0, "ticks while nothing waits");
    }

    /// Sees a call. Returns whether it is a further try of a release that failed.
    fn see(&mut self, call: &Call) -> bool {
        if let Some(is_further_try) = self.seen.get(&call.token) {
            return *is_further_try;
        }
        let owner = call.owner().to_owned();
        let is_further_try = call.verb() == "release" && !self.released.insert(owner.clone());
        if call.verb() == "acquire" {
            self.unsettled.insert(owner);
        } else {
            assert!(!self.left.contains(&owner), "{owner} was to be kept");
            assert!(self.failed.remove(&owner) == is_further_try, "{owner} is released twice");
        }
        self.seen.insert(call.token, is_further_try);
        is_further_try
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        self.happen(Event::SendsCalls(true));
        while !self.requests.is_empty()
            || !self.proxy.calls().is_empty()
            || self.proxy.tick_period() > 0
        {
            self.happen(Event::Pass(5_000));
            while let Some(call) = self.proxy.calls().first() {
                self.answer(call, Answer::Right);
                self.check();
            }
            if let Some(id) = self.requests.keys().next().copied() {
                self.respond(id, true);
                self.check();
            }
        }
    }
}

fn chosen<T>(items: &[T], choice: u8) -> Option<&T> {
    items.get(usize::from(choice) % items.len().max(1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_lock_is_freed_and_nobody_is_forgotten(events in events()) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        world.finish();
        for owner in &world.granted {
            assert!(world.released.contains(owner) != world.left.contains(owner), "{owner}");
        }
        for owner in world.locked.values() {
            assert!(world.left.contains(owner), "{owner} was not freed");
        }
        assert!(world.proxy.calls().is_empty());
        // No state is left: each resource is asked for at once, and the configuration may end.
        for resource in ["/0", "/1"] {
            world.proxy.request(&[(":method", "GET"), (":path", resource)]);
            let call = world.proxy.only_call();
            assert_eq!(call.verb(), "acquire");
            world.proxy.answer(&call, 200, r#"{"success":false}"#);
        }
        assert!(world.proxy.end_root());
    }
}

#[test]
fn the_memory_of_a_vm_does_not_grow_with_its_requests() {
    let mut proxy = Proxy::with_lock(json!({"wait": "1s", "onClientGone": "free"}));
    let round = |proxy: &mut Proxy, round: u32| {
        let requests: Vec<_> =
            (0..50).map(|index| proxy.get(&format!("/{round}/{}", index % 10))).collect();
        for (index, id) in requests.into_iter().enumerate() {
            if index % 3 == 0 {
                proxy.end(id);
            }
            while let Some(call) = proxy.calls().first() {
                let body = if call.verb() == "acquire" {
                    r#"{"success":true}"#
                } else {
                    r#"{"status":0}"#
                };
                proxy.answer(call, 200, body);
            }
            if index % 3 != 0 {
                proxy.complete(id);
            }
        }
        while let Some(call) = proxy.calls().first() {
            proxy.answer(call, 200, r#"{"success":true}"#);
        }
    };
    for first in 0..20 {
        round(&mut proxy, first);
    }
    let memory = proxy.memory();
    for later in 20..200 {
        round(&mut proxy, later);
    }
    assert_eq!(proxy.memory(), memory);
}

#[test]
fn the_memory_of_a_vm_does_not_grow_with_those_who_leave_a_line() {
    let mut proxy = Proxy::with_lock(json!({"wait": "60s"}));
    proxy.get("/a");
    proxy.answer_only(200, r#"{"success":true}"#);
    let mut join_and_leave = |count: u32| {
        for _ in 0..count {
            let id = proxy.get("/a");
            proxy.end(id);
        }
        proxy.memory()
    };
    let memory = join_and_leave(100);
    assert_eq!(join_and_leave(20_000), memory);
}
