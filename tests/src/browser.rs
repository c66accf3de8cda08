//! A headless Chromium for one test, driven by the WebDriver protocol.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{eventually, prepared, process::Watched, temporary_dir};

/// The line of `chromedriver` once it listens; the port follows.
const STARTED: &str = "started successfully on port ";

/// A page in a browser, which ends when this is dropped.
pub struct Browser {
    client: Client,
    _driver: Watched,
    _profile: TempDir,
}

impl Browser {
    /// Starts the Chromium that `cargo xtask test` prepared, with a window of this size in CSS pixels. Where there is
    /// none, says that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start(width: u32, height: u32) -> Option<Self> {
        let made = prepared("HOLDFAST_SERVER_CHROMIUM", "Chromium")?;
        let mut command = Command::new(made.join("chromedriver"));
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Watched::start(command);
        let mut lines = BufReader::new(driver.process_mut().stdout.take().expect("a pipe")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(STARTED)?.1.trim_end_matches('.').to_owned()));
        let port = port.expect("chromedriver listens");
        // It must be able to continue writing.
        thread::spawn(move || lines.for_each(drop));

        let profile = temporary_dir();
        let capabilities = json!({"goog:chromeOptions": {
            "binary": made.join("chromium"),
            "args": [
                "--headless=new",
                // It ends with its driver.
                "--remote-debugging-pipe",
                // There is no sandbox for root, nor in most containers; the pages are our own.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--hide-scrollbars",
                format!("--user-data-dir={}", profile.path().display()),
            ],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}},
        }});
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(Capabilities::from_iter(capabilities))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        Some(Self { client, _driver: driver, _profile: profile })
    }

    /// Opens a page.
    ///
    /// # Panics
    ///
    /// When the browser fails, as in the other functions.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// The result of an expression in the page.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub async fn evaluate(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.expect(expression)
    }

    /// Waits until an expression in the page is true.
    ///
    /// # Panics
    ///
    /// When that lasts too long.
    pub async fn until(&self, expression: &str) {
        eventually(expression, async || self.evaluate(expression).await == json!(true)).await;
    }

    /// The text of the first element that a selector of CSS names, as it is shown.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn text(&self, selector: &str) -> String {
        self.element(selector).await.text().await.expect(selector)
    }

    /// Clicks on the first element that a selector of CSS names.
    ///
    /// # Panics
    ///
    /// When there is none, or another one is before it.
    pub async fn click(&self, selector: &str) {
        self.element(selector).await.click().await.expect(selector);
    }

    /// Types into the first element that a selector of CSS names.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn type_into(&self, selector: &str, text: &str) {
        self.element(selector).await.send_keys(text).await.expect(selector);
    }

    /// A screenshot of the window, as PNG.
    ///
    /// # Panics
    ///
    /// When the browser fails.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a screenshot")
    }

    async fn element(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.expect(selector)
    }
}
