//! The live view of operators: the events, and the page that shows them.

use holdfast_tests::{
    LONG,
    browser::Browser,
    eventually,
    holdfast::Holdfast,
    keep,
    redis_server::RedisServer,
    resources::{Resources, redis},
};
use reqwest::{Response, StatusCode, header::HeaderValue, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::HOLDFAST;

const ARGUMENTS: [&str; 5] = ["--app-id", "app1", "--enable-admin", "--ui", "--admin-port=0"];

struct Served {
    redis: RedisServer,
    _resources: Resources,
    holdfast: Holdfast,
}

impl Served {
    fn start(token: &str) -> Self {
        let redis = RedisServer::start();
        let resources = Resources::in_redis(&redis, &[]);
        let arguments = [&ARGUMENTS[..], &["--resources-path", resources.path()]].concat();
        let environment = [("HOLDFAST_ADMIN_TOKEN", token)];
        let holdfast = Holdfast::serve_in(&environment, HOLDFAST, &arguments);
        Self { redis, _resources: resources, holdfast }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.holdfast.operators())
    }

    async fn get(&self, path: &str) -> Response {
        reqwest::get(self.url(path)).await.unwrap()
    }

    /// Takes a lock for a minute.
    async fn take(&self, id: &str, owner: &str) {
        let body = json!({"resourceId": id, "lockOwner": owner, "expiryInSeconds": 60});
        let taken = self.holdfast.post("/v1.0-alpha1/lock/lockstore", &body.to_string()).await;
        assert_eq!(taken, (200, r#"{"success":true}"#.to_owned()));
    }
}

/// The events of a response.
struct Events {
    response: Response,
    rest: String,
}

impl Events {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self { response, rest: String::new() }
    }

    /// The next event. The server may say that it is there meanwhile.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = event.strip_prefix("data: ").map(str::to_owned);
                self.rest = rest.to_owned();
                match event {
                    Some(event) => return serde_json::from_str(&event).unwrap(),
                    None => continue,
                }
            }
            let chunk = timeout(LONG, self.response.chunk()).await.expect("in time").unwrap();
            self.rest.push_str(std::str::from_utf8(&chunk.expect("another event")).unwrap());
        }
    }

    /// The value of the next event of this kind. Other events, which depend on when the server looks, are skipped.
    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            if let Some(event) = self.next().await.get_mut(kind) {
                return event.take();
            }
        }
    }
}

#[tokio::test]
async fn events_name_who_takes_extends_waits_and_releases() {
    let served = Served::start("");
    served.take("r", "me").await;
    let response = served.get("/v1.0/watch").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = Events::of(response);
    assert_eq!(events.next().await, json!({"storeName": "lockstore", "began": {}}));
    let taken = events.next().await;
    assert_eq!(taken["taken"]["resourceId"], "r");
    assert_eq!(taken["taken"]["lockOwner"], "me");
    assert_eq!(events.next().await, json!({"storeName": "lockstore", "synced": {}}));

    let extend = json!({"resourceId": "r", "lockOwner": "me", "ttl": "120s"}).to_string();
    assert_eq!(served.holdfast.post("/v1.0/leases/lockstore/extend", &extend).await.0, 200);
    assert_eq!(events.next_of("extended").await["lockOwner"], "me");

    let wait = json!({"resourceId": "r", "lockOwner": "next", "ttl": "60s", "wait": "60s"});
    let wait = wait.to_string();
    let waiting = served.holdfast.post("/v1.0/leases/lockstore/acquire", &wait);
    let reported = async {
        assert_eq!(events.next_of("waiting").await, json!({"resourceId": "r", "calls": 1}));
        served.redis.run::<()>(&["DEL", "lock||app1||r"]);
        assert_eq!(events.next_of("taken").await["lockOwner"], "next");
    };
    let (taken, ()) = tokio::join!(waiting, reported);
    assert_eq!(taken.0, 200);
    served.redis.run::<()>(&["FLUSHALL"]);
    assert_eq!(events.next_of("freed").await["resourceId"], "r");

    served.redis.run::<()>(&["SET", "lock||app1||broken", "x"]);
    let taken = events.next_of("taken").await;
    assert_eq!((&taken["resourceId"], taken.get("timeLeft")), (&json!("broken"), None));
}

/// The other stores are reported meanwhile, and this one once it is there.
#[tokio::test]
async fn a_store_that_cannot_be_watched_is_named() {
    let [good, bad] = [(); 2].map(|()| RedisServer::start());
    let file =
        redis("good", &good, &[]) + "---\n" + &redis("bad", &bad, &[("readTimeout", "200ms")]);
    let resources = Resources::new(&[("stores.yaml", &file)]);
    let arguments = [&ARGUMENTS[..], &["--resources-path", resources.path()]].concat();
    let holdfast = Holdfast::serve(HOLDFAST, &arguments);
    let url = format!("http://{}/v1.0/watch?prefix=r", holdfast.operators());
    bad.suspend();
    let mut events = Events::of(reqwest::get(url).await.unwrap());
    // The events name the stores before any store has answered.
    let mut began = [events.next().await, events.next().await];
    began.sort_by_key(|event| event["storeName"].to_string());
    let expected = ["bad", "good"].map(|name| json!({"storeName": name, "began": {}}));
    assert_eq!(began, expected);
    let failed = loop {
        let event = events.next().await;
        if event["storeName"] == "bad" {
            break event;
        }
    };
    assert_eq!(failed["failed"]["errorCode"], "ERR_LOCK_LIST", "{failed}");
    good.run::<()>(&["SET", "lock||app1||r", "me"]);
    assert_eq!(events.next_of("taken").await["lockOwner"], "me");
    bad.resume();
    let synced = json!({"storeName": "bad", "synced": {}});
    while events.next().await != synced {}
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused() {
    let served = Served::start("");
    let refused = served.get("/v1.0/watch?prefix=a%7C%7Cb").await;
    assert_eq!(refused.status(), 500);
    assert!(refused.text().await.unwrap().contains("can't contain '||'"));
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Events::of(served.get("/v1.0/watch").await));
    }
    let refused = served.get("/v1.0/watch").await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert!(refused.text().await.unwrap().contains("too many calls: 16 watch the locks"));
    open.pop();
    eventually("there is room", async || served.get("/v1.0/watch").await.status() == 200).await;
}

#[tokio::test]
async fn the_page_is_served_if_it_is_asked_for_and_may_reach_nobody_else() {
    let served = Served::start("s3cret");
    for (path, content_type) in
        [("/ui", "text/html"), ("/ui/page.css", "text/css"), ("/ui/page.js", "text/javascript")]
    {
        let part = served.get(path).await;
        assert_eq!(part.status(), 200);
        let header = |name| part.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), format!("{content_type}; charset=utf-8"));
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert_eq!(policy.matches("unsafe").count(), 0, "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    // The page names its parts by relative paths.
    let slash = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let slash = slash.get(served.url("/ui/?store=a&prefix=b")).send().await.unwrap();
    assert_eq!(
        (slash.status(), &slash.headers()["location"]),
        (StatusCode::TEMPORARY_REDIRECT, &HeaderValue::from_static("../ui?store=a&prefix=b"),)
    );
    let refused = reqwest::Client::new().post(served.url("/ui")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(served.get("/v1.0/watch").await.status(), 401);

    let mut alone = holdfast_tests::holdfast::serve(HOLDFAST);
    alone.arg("--ui");
    let mut alone = Holdfast::start(alone);
    assert_eq!(alone.wait(), Some(2));
    assert!(alone.log().contains("--ui needs --enable-admin"), "{}", alone.log());
}

#[tokio::test]
async fn the_page_shows_a_lock_its_time_running_down_and_it_going() {
    let Some(browser) = Browser::start(1200, 800).await else { return };
    let served = Served::start("");
    browser.open(&served.url("/ui")).await;
    browser.until("document.getElementById('none').checkVisibility()").await;
    assert_eq!(browser.text("#state").await, "live");
    let asks = "document.getElementById('admission').checkVisibility()";
    assert_eq!(browser.evaluate(asks).await, json!(false));

    served.take("order <1>", "somebody").await;
    browser.until("document.querySelectorAll('.lock').length === 1").await;
    for (part, text) in [("resource", "order <1>"), ("store", "lockstore"), ("owner", "somebody")] {
        assert_eq!(browser.text(&format!(".lock .{part}")).await, text);
    }
    assert_eq!(
        browser.text("#history li").await.split_once(" taken ").unwrap().1,
        "order <1> (lockstore) somebody"
    );
    browser.until("parseFloat(document.querySelector('.left').textContent) < 58").await;
    browser.until("document.querySelector('.lock progress').value < 0.97").await;
    keep("page.png", browser.screenshot().await);

    // A button keeps its focus while other rows come and go.
    browser.evaluate("document.querySelector('.release').focus()").await;
    served.take("another", "somebody").await;
    browser.until("document.querySelectorAll('.lock').length === 2").await;
    let focus = "document.activeElement.closest('.lock').querySelector('.resource').textContent";
    assert_eq!(browser.evaluate(focus).await, json!("order <1>"));
    browser.type_into("#filter", "<1>").await;
    browser.until("document.querySelectorAll('.lock').length === 1").await;

    // The question is about an earlier owner, so the page closes it.
    browser.click(".release").await;
    served.redis.run::<()>(&["SET", "lock||app1||order <1>", "he\u{202e}"]);
    browser.until("!document.getElementById('question').open").await;
    browser.until("document.querySelector('.owner').textContent === 'he\\\\u{202e}'").await;

    // The operator cancels the question.
    browser.click(".release").await;
    assert!(browser.text("#question").await.starts_with("Release order <1> in lockstore?"));
    browser.click("#question button").await;
    browser.until("!document.getElementById('question').open").await;
    assert!(served.redis.exists("lock||app1||order <1>"));

    browser.click(".release").await;
    browser.click("#question .danger").await;
    browser.until("document.querySelectorAll('.lock').length === 0").await;
    assert!(!served.redis.exists("lock||app1||order <1>"));
    assert!(browser.text("#history li").await.contains(" freed order <1> "));
}

#[tokio::test]
async fn the_page_asks_for_the_token_and_fits_on_a_phone() {
    let Some(browser) = Browser::start(390, 844).await else { return };
    let served = Served::start("s3crét \u{43a}");
    let id = "a-resource-with-a-name-that-is-longer-than-a-phone-is-wide/".repeat(3);
    served.take(&id, "somebody").await;
    browser.open(&served.url("/ui")).await;
    browser.until("document.getElementById('admission').checkVisibility()").await;
    browser.type_into("#token", "wrong\n").await;
    browser.until("document.getElementById('state').textContent === 'this token is wrong'").await;
    browser.evaluate("document.getElementById('token').value = ''").await;
    browser.type_into("#token", "s3crét \u{43a}\n").await;
    browser.until("document.querySelectorAll('.lock').length === 1").await;
    let asks = "document.getElementById('admission').checkVisibility()";
    assert_eq!(browser.evaluate(asks).await, json!(false));
    let fits = "document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(browser.evaluate(fits).await, json!(true));
    keep("phone.png", browser.screenshot().await);
    browser.click(".release").await;
    browser.click("#question .danger").await;
    eventually("released", async || !served.redis.exists(&format!("lock||app1||{id}"))).await;
}

/// The button releases a lock of any name.
#[tokio::test]
async fn the_page_releases_locks_of_any_name() {
    let Some(browser) = Browser::start(1200, 800).await else { return };
    let served = Served::start("");
    let long = "\u{e9}".repeat(2_000);
    browser.open(&served.url("/ui")).await;
    for id in [".", "..", "%2e", "../..", "a/b", "/", "?a=b&c#d", "a+b", "\u{1f512}", &long] {
        served.take(id, "somebody").await;
        browser.until("document.querySelectorAll('.lock').length === 1").await;
        browser.click(".release").await;
        browser.click("#question .danger").await;
        browser.until("document.querySelectorAll('.lock').length === 0").await;
        assert!(!served.redis.exists(&format!("lock||app1||{id}")), "{id}");
        assert_eq!(browser.evaluate("document.getElementById('problems').innerText").await, "");
    }
}

/// The address of a proxy that serves a server below this path.
async fn below(prefix: &'static str, to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A browser opens connections that it does not use.
            tokio::spawn(relay(stream, prefix, to.clone()));
        }
    });
    format!("http://{address}{prefix}")
}

/// Passes the only request of a connection on, without the prefix. A connection with another path is closed.
async fn relay(mut stream: TcpStream, prefix: &str, to: String) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (method, rest) = head.split_once(' ')?;
    let rest = rest.strip_prefix(prefix)?;
    let rest = rest.replacen("Connection: keep-alive", "Connection: close", 1);
    let mut server = TcpStream::connect(to).await.ok()?;
    server.write_all(format!("{method} {rest}").as_bytes()).await.ok()?;
    copy_bidirectional(&mut stream, &mut server).await.ok()?;
    Some(())
}

#[tokio::test]
async fn the_page_may_be_below_a_path_of_a_proxy() {
    let Some(browser) = Browser::start(1200, 800).await else { return };
    let served = Served::start("");
    let address = below("/tools/holdfast", served.holdfast.operators()).await;
    for path in ["/ui", "/ui/?prefix=r"] {
        served.take("r", "somebody").await;
        browser.open(&format!("{address}{path}")).await;
        browser.until("document.querySelectorAll('.lock').length === 1").await;
        assert_eq!(browser.text("#state").await, "live");
        let styled =
            "[...document.styleSheets].flatMap(({ cssRules }) => [...cssRules]).length > 5";
        assert_eq!(browser.evaluate(styled).await, json!(true));
        browser.click(".release").await;
        browser.click("#question .danger").await;
        eventually("released", async || !served.redis.exists("lock||app1||r")).await;
    }
}
