//! A proxy: the functions that it has for a module of ABI 0.2.1, and what it was asked to do.

use std::{collections::BTreeMap, mem, sync::LazyLock};

use serde_json::{Value, json};
use wasmtime::{
    Caller, Engine, Extern, Instance, Linker, Memory, Module, Store, WasmParams, WasmResults,
};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::from_file(&Engine::default(), env!("HOLDFAST_FILTER")).expect("a module")
});

pub fn module() -> &'static Module {
    &MODULE
}

/// The context of the configuration.
pub const ROOT: u32 = 1;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Paused,
    GoesOn,
    Refused { status: u32, details: String, body: String, headers: Vec<(String, String)> },
}

/// A call-out that is not answered yet.
#[derive(Clone, Debug)]
pub struct Call {
    pub token: u32,
    pub cluster: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub timeout: u32,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The last part of the path: `acquire` or `release`.
    pub fn verb(&self) -> &str {
        self.header(":path").unwrap().rsplit('/').next().unwrap()
    }

    pub fn owner(&self) -> &str {
        self.body["lockOwner"].as_str().unwrap()
    }

    pub fn resource(&self) -> &str {
        self.body["resourceId"].as_str().unwrap()
    }
}

struct Stream {
    headers: Vec<(String, String)>,
    fate: Fate,
    /// Where its response comes from.
    details: &'static str,
}

#[derive(Default)]
struct State {
    /// In milliseconds.
    time: u64,
    /// The context that functions are about.
    effective: u32,
    configuration: Vec<u8>,
    streams: BTreeMap<u32, Stream>,
    log: Vec<String>,
    calls: Vec<Call>,
    last_token: u32,
    sends_no_calls: bool,
    /// The calls that were not sent.
    unsent: Vec<Call>,
    /// The answer to a call that is being told.
    answer: Option<(String, Vec<u8>)>,
    /// The period of ticks, and the time of the next.
    tick: (u32, u64),
    done: bool,
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
        let instance = linker().instantiate(&mut store, &MODULE).unwrap();
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

    /// Whether the rest of a request stays.
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
        self.tell(call.token, body.len());
    }

    /// Tells that a call will not be answered.
    pub fn lose(&mut self, call: &Call) {
        self.tell(call.token, 0);
    }

    /// Tells of the answer to a call that was never made.
    pub fn answer_nothing(&mut self, token: u32) {
        self.store.data_mut().answer = Some(("200".to_owned(), GRANTED.into()));
        self.tell(token, GRANTED.len());
    }

    fn tell(&mut self, token: u32, size: usize) {
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

fn linker() -> Linker<State> {
    let mut linker = Linker::new(MODULE.engine());
    let env = "env";
    linker
        .func_wrap(
            env,
            "proxy_log",
            |mut caller: Caller<'_, State>, _level: u32, at: u32, length: u32| {
                let line = text(&mut caller, at, length);
                caller.data_mut().log.push(line);
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_set_effective_context",
            |mut caller: Caller<'_, State>, context: u32| {
                let state = caller.data_mut();
                if context != ROOT && !state.streams.contains_key(&context) {
                    return BAD_ARGUMENT;
                }
                state.effective = context;
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_get_header_map_pairs",
            |mut caller: Caller<'_, State>, map: u32, at: u32, length: u32| {
                assert_eq!(map, 0);
                let headers = pairs(&stream(&mut caller).headers);
                give(&mut caller, &headers, at, length)
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_get_header_map_value",
            |mut caller: Caller<'_, State>,
             map: u32,
             name: u32,
             size: u32,
             at: u32,
             length: u32| {
                assert_eq!((map, text(&mut caller, name, size).as_str()), (6, ":status"));
                match caller.data().answer.clone() {
                    Some((status, _)) => give(&mut caller, status.as_bytes(), at, length),
                    None => NOT_FOUND,
                }
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_replace_header_map_value",
            |mut caller: Caller<'_, State>,
             map: u32,
             name: u32,
             size: u32,
             value: u32,
             length: u32| {
                assert_eq!(map, 0);
                let (name, value) =
                    (text(&mut caller, name, size), text(&mut caller, value, length));
                let stream = stream(&mut caller);
                assert_eq!(stream.fate, Fate::Paused, "the headers are gone already");
                stream.headers.retain(|(known, _)| *known != name);
                stream.headers.push((name, value));
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_remove_header_map_value",
            |mut caller: Caller<'_, State>, map: u32, name: u32, size: u32| {
                assert_eq!(map, 0);
                let name = text(&mut caller, name, size);
                stream(&mut caller).headers.retain(|(known, _)| *known != name);
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_get_buffer_bytes",
            |mut caller: Caller<'_, State>,
             buffer: u32,
             start: u32,
             most: u32,
             at: u32,
             length: u32| {
                let state = caller.data();
                let bytes = match buffer {
                    4 => state.answer.clone().map(|(_, body)| body).unwrap_or_default(),
                    7 => state.configuration.clone(),
                    other => panic!("no buffer {other}"),
                };
                assert_eq!((start, most as usize), (0, bytes.len()));
                give(&mut caller, &bytes, at, length)
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_get_property",
            |mut caller: Caller<'_, State>, path: u32, path_length: u32, at: u32, length: u32| {
                let path = text(&mut caller, path, path_length);
                assert_eq!(path, "response\0code_details");
                let details = stream(&mut caller).details;
                give(&mut caller, details.as_bytes(), at, length)
            },
        )
        .unwrap();
    linker
        .func_wrap(env, "proxy_continue_stream", |mut caller: Caller<'_, State>, kind: u32| {
            assert_eq!(kind, 0);
            let stream = stream(&mut caller);
            assert_eq!(stream.fate, Fate::Paused);
            stream.fate = Fate::GoesOn;
            OK
        })
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_send_local_response",
            |mut caller: Caller<'_, State>,
             status: u32,
             details: u32,
             details_length: u32,
             body: u32,
             body_length: u32,
             headers: u32,
             headers_length: u32,
             grpc: i32| {
                assert_eq!(grpc, -1);
                let details = text(&mut caller, details, details_length);
                let body = text(&mut caller, body, body_length);
                let headers = from_pairs(&bytes(&mut caller, headers, headers_length));
                let stream = stream(&mut caller);
                assert_eq!(stream.fate, Fate::Paused);
                stream.fate = Fate::Refused { status, details, body, headers };
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_http_call",
            |mut caller: Caller<'_, State>,
             cluster: u32,
             cluster_length: u32,
             headers: u32,
             headers_length: u32,
             body: u32,
             body_length: u32,
             trailers: u32,
             trailers_length: u32,
             timeout: u32,
             token: u32| {
                let cluster = text(&mut caller, cluster, cluster_length);
                let headers = from_pairs(&bytes(&mut caller, headers, headers_length));
                let body = bytes(&mut caller, body, body_length);
                assert_eq!(bytes(&mut caller, trailers, trailers_length), [0; 4]);
                let state = caller.data_mut();
                assert_eq!(state.effective, ROOT, "a call of a request is forgotten with it");
                state.last_token += 1;
                let made = state.last_token;
                let body = serde_json::from_slice(&body).unwrap();
                let call = Call { token: made, cluster, headers, body, timeout };
                if state.sends_no_calls {
                    state.unsent.push(call);
                    return BAD_ARGUMENT;
                }
                state.calls.push(call);
                memory(&mut caller)
                    .write(&mut caller, token as usize, &made.to_le_bytes())
                    .unwrap();
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(
            env,
            "proxy_set_tick_period_milliseconds",
            |mut caller: Caller<'_, State>, period: u32| {
                let state = caller.data_mut();
                assert_eq!(state.effective, ROOT, "requests have no ticks");
                state.tick = (period, state.time + u64::from(period));
                OK
            },
        )
        .unwrap();
    linker
        .func_wrap(env, "proxy_done", |mut caller: Caller<'_, State>| {
            let state = caller.data_mut();
            assert_eq!(state.effective, ROOT);
            assert!(!state.done, "it is done once");
            state.done = true;
            OK
        })
        .unwrap();
    let wasi = "wasi_snapshot_preview1";
    linker
        .func_wrap(wasi, "random_get", |mut caller: Caller<'_, State>, at: u32, length: u32| {
            let random = vec![0x5a; length as usize];
            memory(&mut caller).write(&mut caller, at as usize, &random).unwrap();
            OK
        })
        .unwrap();
    linker
        .func_wrap(
            wasi,
            "clock_time_get",
            |mut caller: Caller<'_, State>, clock: u32, _precision: u64, at: u32| {
                assert_eq!(clock, 1, "the clock that never goes back");
                let time = caller.data().time * 1_000_000;
                memory(&mut caller).write(&mut caller, at as usize, &time.to_le_bytes()).unwrap();
                OK
            },
        )
        .unwrap();
    linker
}

/// The request that the effective context is of.
fn stream<'a>(caller: &'a mut Caller<'_, State>) -> &'a mut Stream {
    let state = caller.data_mut();
    let effective = state.effective;
    state.streams.get_mut(&effective).unwrap_or_else(|| panic!("no request {effective}"))
}

fn memory(caller: &mut Caller<'_, State>) -> Memory {
    caller.get_export("memory").and_then(Extern::into_memory).unwrap()
}

fn bytes(caller: &mut Caller<'_, State>, at: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    memory(caller).read(&caller, at as usize, &mut bytes).unwrap();
    bytes
}

fn text(caller: &mut Caller<'_, State>, at: u32, length: u32) -> String {
    String::from_utf8(bytes(caller, at, length)).unwrap()
}

/// Gives bytes to the module, in a block of its own.
fn give(caller: &mut Caller<'_, State>, bytes: &[u8], at: u32, length: u32) -> u32 {
    let size = u32::try_from(bytes.len()).unwrap();
    let allocate =
        caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
    let allocate = allocate.typed::<u32, u32>(&caller).unwrap();
    let block = allocate.call(&mut *caller, size).unwrap();
    let memory = memory(caller);
    memory.write(&mut *caller, block as usize, bytes).unwrap();
    memory.write(&mut *caller, at as usize, &block.to_le_bytes()).unwrap();
    memory.write(&mut *caller, length as usize, &size.to_le_bytes()).unwrap();
    OK
}

fn pairs(headers: &[(String, String)]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for (name, value) in headers {
        bytes.extend(format!("{name}\0{value}\0").into_bytes());
    }
    bytes
}

fn from_pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 4 + 8 * number(0);
    let mut text = |length: usize| {
        let text = std::str::from_utf8(&bytes[at..at + length]).unwrap().to_owned();
        assert_eq!(bytes[at + length], 0);
        at += length + 1;
        text
    };
    let headers = (0..number(0)).map(|index| {
        let name = text(number(4 + 8 * index));
        (name, text(number(8 + 8 * index)))
    });
    headers.collect()
}
