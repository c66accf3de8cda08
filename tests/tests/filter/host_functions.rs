//! The functions that a proxy has for a module of ABI 0.2.1.

use wasmtime::{Caller, Engine, Extern, Linker, Memory};

use super::state::{Call, Fate, ROOT, State, Stream};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

/// All functions.
pub fn linker(engine: &Engine) -> Linker<State> {
    let mut linker = Linker::new(engine);
    of_module(&mut linker);
    of_headers(&mut linker);
    of_requests(&mut linker);
    of_call_outs(&mut linker);
    of_wasi(&mut linker);
    linker
}

/// The functions for the module itself: its log, its clock, its configuration.
fn of_module(linker: &mut Linker<State>) {
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
}

/// The headers of requests, and changes of them.
fn of_headers(linker: &mut Linker<State>) {
    let env = "env";
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
}

/// Continuing requests, and answering them.
fn of_requests(linker: &mut Linker<State>) {
    let env = "env";
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
}

/// Its call-outs, and their answers.
fn of_call_outs(linker: &mut Linker<State>) {
    let env = "env";
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
}

/// The functions that Rust's standard library imports.
fn of_wasi(linker: &mut Linker<State>) {
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
