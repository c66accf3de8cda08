//! A proxy that a test drives, and the calls that the filter made.

use std::{mem, sync::LazyLock};

use serde_json::{Value, json};
use wasmtime::{Engine, Instance, Module, Store, WasmParams, WasmResults};

use super::{
    host_functions::linker,
    state::{Call, Fate, ROOT, State, Stream},
};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::from_file(&Engine::default(), env!("HOLDFAST_FILTER")).expect("a module")
});

pub fn module() -> &'static Module {
    &MODULE
}

/// A proxy with one VM of the filter.
pub struct Proxy {
    store: Store<State>,
    instance: Instance,
    last_stream: u32,
}

impl Proxy {
    /// Starts with a configuration of these locks, whose other fields have defaults.
    pub fn with_locks(locks: Value) -> Self {
        Self::start(&json!({"cluster": "holdfast", "locks": locks}).to_string())
            .unwrap_or_else(|log| panic!("{log:?}"))
    }

    /// Starts with one lock for all requests, which is named by the path. `fields` are its others.
    pub fn with_lock(fields: Value) -> Self {
        let mut lock =
            json!({"name": "all", "store": "lockstore", "resource": "{:path}", "ttl": "60s"});
        lock.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Self::with_locks(json!([lock]))
    }

    /// Starts with a configuration. The error is the log, if the filter refuses it.
    pub fn start(configuration: &str) -> Result<Self, Vec<String>> {
        let mut store = Store::new(MODULE.engine(), State::default());
        let instance = linker(MODULE.engine()).instantiate(&mut store, &MODULE).unwrap();
        let mut proxy = Self { store, instance, last_stream: ROOT };
        proxy.call::<_, ()>("proxy_on_context_create", ROOT, (ROOT, 0_u32));
        assert_eq!(proxy.call::<_, u32>("proxy_on_vm_start", ROOT, (ROOT, 0_u32)), 1);
        if proxy.configure(configuration) { Ok(proxy) } else { Err(proxy.log()) }
    }

    /// Gives it a configuration.
    pub fn configure(&mut self, configuration: &str) -> bool {
        self.store.data_mut().configuration = configuration.into();
        let size = u32::try_from(configuration.len()).unwrap();
        self.call::<_, u32>("proxy_on_configure", ROOT, (ROOT, size)) == 1
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        context: u32,
        parameters: P,
    ) -> R {
        self.store.data_mut().effective = context;
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name).unwrap();
        function.call(&mut self.store, parameters).unwrap_or_else(|trap| panic!("{name}: {trap:?}"))
    }

    /// A request to this path comes.
    pub fn get(&mut self, path: &str) -> u32 {
        self.request(&[(":method", "GET"), (":authority", "shop.example"), (":path", path)])
    }

    /// A request with these headers comes.
    pub fn request(&mut self, headers: &[(&str, &str)]) -> u32 {
        self.last_stream += 1;
        self.request_with_id(self.last_stream, headers);
        self.last_stream
    }

    /// A request with these headers comes, in the context of this id.
    pub fn request_with_id(&mut self, id: u32, headers: &[(&str, &str)]) {
        let headers =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.store
            .data_mut()
            .streams
            .insert(id, Stream { headers, fate: Fate::Paused, details: "via_upstream" });
        self.call::<_, ()>("proxy_on_context_create", id, (id, ROOT));
        let flow: u32 = self.call("proxy_on_request_headers", id, (id, 3_u32, 1_u32));
        let stream = self.store.data_mut().streams.get_mut(&id).unwrap();
        match flow {
            0 => {
                assert_eq!(stream.fate, Fate::Paused, "it goes on by the result alone");
                stream.fate = Fate::GoesOn;
            }
            1 => assert_ne!(
                stream.fate,
                Fate::GoesOn,
                "a request that has not paused yet cannot go on"
            ),
            other => panic!("{other} is no action"),
        }
    }

    /// Whether the filter holds back the rest of a request.
    pub fn pauses_body(&mut self, id: u32) -> bool {
        let body: u32 = self.call("proxy_on_request_body", id, (id, 10_u32, 0_u32));
        let trailers: u32 = self.call("proxy_on_request_trailers", id, (id, 1_u32));
        assert_eq!(body, trailers);
        body == 1
    }

    /// The headers of a response come.
    pub fn respond(&mut self, id: u32, last: bool) {
        let flow: u32 = self.call("proxy_on_response_headers", id, (id, 3_u32, u32::from(last)));
        assert_eq!(flow, 0);
    }

    /// A part of the body of a response comes.
    pub fn respond_body(&mut self, id: u32, last: bool) {
        let flow: u32 = self.call("proxy_on_response_body", id, (id, 10_u32, u32::from(last)));
        assert_eq!(flow, 0);
    }

    /// The trailers of a response come.
    pub fn respond_trailers(&mut self, id: u32) {
        let flow: u32 = self.call("proxy_on_response_trailers", id, (id, 1_u32));
        assert_eq!(flow, 0);
    }

    /// The proxy waits no longer for the upstream, and answers a request that goes on itself.
    pub fn give_up(&mut self, id: u32) {
        self.store.data_mut().streams.get_mut(&id).unwrap().details = "response_timeout";
        self.complete(id);
    }

    /// A request is gone.
    pub fn end(&mut self, id: u32) {
        assert_eq!(self.call::<_, u32>("proxy_on_done", id, id), 1);
        self.call::<_, ()>("proxy_on_delete", id, id);
        self.store.data_mut().streams.remove(&id);
    }

    /// The response of a request that goes on comes whole, and the request ends.
    pub fn complete(&mut self, id: u32) {
        self.respond(id, false);
        self.respond_body(id, true);
        self.end(id);
    }

    /// The calls that are not answered yet, in their order.
    pub fn calls(&self) -> Vec<Call> {
        self.store.data().calls.clone()
    }

    /// The only call that is not answered yet.
    pub fn only_call(&self) -> Call {
        let [call] = &self.store.data().calls[..] else { panic!("{:?}", self.store.data().calls) };
        call.clone()
    }

    /// Answers a call.
    pub fn answer(&mut self, call: &Call, status: u16, body: &str) {
        self.store.data_mut().answer = Some((status.to_string(), body.into()));
        self.end_call(call.token, body.len());
    }

    /// Reports that a call will not be answered.
    pub fn lose(&mut self, call: &Call) {
        self.end_call(call.token, 0);
    }

    /// Reports the answer to a call that was never made.
    pub fn answer_nothing(&mut self, token: u32) {
        self.store.data_mut().answer = Some(("200".to_owned(), GRANTED.into()));
        self.end_call(token, GRANTED.len());
    }

    fn end_call(&mut self, token: u32, size: usize) {
        self.store.data_mut().calls.retain(|call| call.token != token);
        let size = u32::try_from(size).unwrap();
        self.call::<_, ()>("proxy_on_http_call_response", ROOT, (ROOT, token, 1_u32, size, 0_u32));
        self.store.data_mut().answer = None;
    }

    /// Answers the only call.
    pub fn answer_only(&mut self, status: u16, body: &str) {
        let call = self.only_call();
        self.answer(&call, status, body);
    }

    /// Whether calls are sent.
    pub fn sends_calls(&mut self, sends: bool) {
        self.store.data_mut().sends_no_calls = !sends;
    }

    /// Takes out the calls that were not sent.
    pub fn take_unsent(&mut self) -> Vec<Call> {
        mem::take(&mut self.store.data_mut().unsent)
    }

    /// Lets time pass, with the ticks in it.
    pub fn pass(&mut self, milliseconds: u64) {
        let end = self.store.data().time + milliseconds;
        loop {
            let State { time, tick: (period, next), .. } = self.store.data_mut();
            if *period == 0 || *next > end {
                break;
            }
            *time = *next;
            *next += u64::from(*period);
            self.call::<_, ()>("proxy_on_tick", ROOT, ROOT);
        }
        self.store.data_mut().time = end;
    }

    /// The period of ticks.
    pub fn tick_period(&self) -> u32 {
        self.store.data().tick.0
    }

    pub fn fate(&self, id: u32) -> Fate {
        self.store.data().streams[&id].fate.clone()
    }

    /// Whether a request was refused, with these details for the access log.
    pub fn is_refused(&self, id: u32, why: &str) -> bool {
        matches!(self.fate(id), Fate::Refused { details, .. } if details == why)
    }

    /// A header of a request that goes on.
    pub fn header(&self, id: u32, name: &str) -> Option<String> {
        let headers = &self.store.data().streams[&id].headers;
        headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// The log until now.
    pub fn log(&self) -> Vec<String> {
        self.store.data().log.clone()
    }

    /// The configuration ends. Returns whether it may at once.
    pub fn end_root(&mut self) -> bool {
        self.call::<_, u32>("proxy_on_done", ROOT, ROOT) == 1
    }

    /// Whether the filter said that the configuration may end.
    pub fn is_done(&self) -> bool {
        self.store.data().done
    }

    /// The size of the VM's memory, in bytes.
    pub fn memory(&mut self) -> usize {
        self.instance.get_memory(&mut self.store, "memory").unwrap().data_size(&self.store)
    }
}

/// The answer to an acquire that got the lock.
pub const GRANTED: &str = r#"{"success":true,"lockOwner":"o","validFor":"59.940s"}"#;
/// The answer to an acquire that did not.
pub const NOT_FREE: &str = r#"{"success":false}"#;
/// The answer to a release.
pub const RELEASED: &str = r#"{"status":0}"#;
