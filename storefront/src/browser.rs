//! The page in a real browser: Chromium, driven over WebDriver while the shop is flooded.
//!
//! The test is skipped where no Chromium or no ChromeDriver is installed, unless `BULKLINK_REQUIRE_BROWSER` is set. With
//! `BULKLINK_SCREENSHOTS` set to a folder, it leaves its screenshots there.

use std::env;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::http::Method;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client as Browser, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};
use url::{ParseError, Url};

use crate::client::{Client, Route};
use crate::load::{flood, stream};
use crate::server::{Bulkheads, Server, listen, routes, with_page};
use crate::store::Store;

/// How long the test waits for the page to show something.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the load lasts at most. The test ends it earlier.
const LOAD: Duration = Duration::from_secs(600);

fn find(names: &[&str]) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    let mut found = env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)).collect::<Vec<_>>());
    found.find(|path| path.is_file())
}

/// ChromeDriver, on a port of its own choice. Dropping it ends the process.
struct Driver {
    _process: Child,
    address: String,
}

impl Driver {
    async fn start(program: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.rsplit_once("successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("ChromeDriver ended without naming its port");
        };
        let port = timeout(PATIENCE, port).await.expect("ChromeDriver does not start");
        // What it prints later is read, so that it never blocks.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _process: process, address: format!("http://127.0.0.1:{port}") }
    }

    async fn open(&self, chromium: &Path, profile: &Path) -> Browser {
        let profile = format!("--user-data-dir={}", profile.display());
        let quiet = ["--disable-background-networking", "--disable-component-update"];
        let headless = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"];
        let args: Vec<_> = headless.into_iter().chain(quiet).chain([&*profile]).collect();
        let capabilities: Capabilities = serde_json::from_value(json!({
            "goog:chromeOptions": {"binary": chromium, "args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }))
        .unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let browser = builder.capabilities(capabilities).connect(&self.address).await.unwrap();
        let limits = TimeoutConfiguration::new(Some(PATIENCE), None, None);
        browser.update_timeouts(limits).await.unwrap();
        browser
    }
}

/// A command of ChromeDriver's own.
#[derive(Debug)]
struct Chrome {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chrome {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Runs a command of ChromeDriver's own.
async fn chrome(browser: &Browser, path: &'static str, body: Value) -> Value {
    browser.issue_cmd(Chrome { path, body }).await.unwrap()
}

/// Runs a method of the Chrome DevTools Protocol.
async fn devtools(browser: &Browser, method: &str, params: Value) {
    chrome(browser, "goog/cdp/execute", json!({"cmd": method, "params": params})).await;
}

/// Waits until an expression in JavaScript is true, and looks again whenever the page changes.
async fn until(browser: &Browser, condition: &str) {
    let script = format!(
        "const done = arguments[0], holds = () => ({condition});
        if (holds()) return done();
        const watch = new MutationObserver(() => {{ if (holds()) {{ watch.disconnect(); done(); }} }});
        watch.observe(document, {{ subtree: true, childList: true, characterData: true, attributes: true }});"
    );
    if let Err(error) = browser.execute_async(&script, Vec::new()).await {
        let seen = evaluate(browser, "document.body.innerText").await;
        panic!("{condition}: {error}\n{seen}");
    }
}

/// Returns the value of an expression in JavaScript.
async fn evaluate(browser: &Browser, expression: &str) -> Value {
    browser.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
}

/// Presses keys wherever the focus is.
async fn press(browser: &Browser, keys: &str) {
    browser.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

/// Presses the tabulator until an element has the focus, as somebody without a mouse does.
async fn focus(browser: &Browser, selector: &str) {
    let has_focus = format!("document.activeElement.matches('{selector}')");
    for _ in 0..20 {
        if evaluate(browser, &has_focus).await == true {
            return;
        }
        press(browser, &Key::Tab.to_string()).await;
    }
    panic!("the tabulator does not reach {selector}");
}

/// The card of a bulkhead, in JavaScript.
fn card(label: &str) -> String {
    format!(
        "[...document.querySelectorAll('.card')].find((card) => card.querySelector('h2').textContent === '{label}')"
    )
}

/// Shows the page at a width and in a colour scheme, and asserts that it fits.
async fn look(browser: &Browser, width: u32, scheme: &str) {
    let size =
        json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
    devtools(browser, "Emulation.setDeviceMetricsOverride", size).await;
    let scheme_feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    devtools(browser, "Emulation.setEmulatedMedia", json!({"features": scheme_feature})).await;
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(evaluate(browser, overflow).await, 0, "{width} pixels wide");
    let dark = evaluate(browser, "matchMedia('(prefers-color-scheme: dark)').matches").await;
    assert_eq!(dark, scheme == "dark");
    let screenshot = browser.screenshot().await.unwrap();
    if let Some(folder) = env::var_os("BULKLINK_SCREENSHOTS") {
        let path = Path::new(&folder).join(format!("dashboard-{width}-{scheme}.png"));
        std::fs::write(path, screenshot).unwrap();
    }
}

/// Asserts that nothing went wrong on the console, and that the page asked its own server only.
async fn assert_clean(browser: &Browser, server: &str) {
    let console = chrome(browser, "se/log", json!({"type": "browser"})).await;
    assert_eq!(console, json!([]));
    let log = chrome(browser, "se/log", json!({"type": "performance"})).await;
    let requests = log.as_array().unwrap().iter().filter_map(|entry| {
        let entry: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        let (method, params) = (&entry["message"]["method"], &entry["message"]["params"]);
        // The browser's own start page loads resources of its own.
        let by_page = !params["documentURL"].as_str().unwrap_or_default().starts_with("chrome:");
        (method == "Network.requestWillBeSent" && by_page)
            .then(|| params["request"]["url"].as_str().unwrap().to_owned())
    });
    let requests: Vec<_> = requests.collect();
    assert!(requests.iter().any(|url| url.contains("status.json")), "{requests:?}");
    for url in requests {
        assert!(url.starts_with(server) || url.starts_with("data:"), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_a_flood_and_its_end_in_a_real_browser() {
    let found = (find(&["chromium", "chromium-browser", "google-chrome"]), find(&["chromedriver"]));
    let (Some(chromium), Some(driver)) = found else {
        assert!(env::var_os("BULKLINK_REQUIRE_BROWSER").is_none(), "no browser: {found:?}");
        println!("skipped: Chromium and ChromeDriver are not both installed");
        return;
    };
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let bulkheads = Bulkheads::new().unwrap();
    let routes = routes(Store::open().await.unwrap(), Some(&bulkheads));
    let server = Server::start(listener, with_page(routes, &bulkheads)).unwrap();
    let address = format!("http://{}", server.address);
    let (customers, start) = (Client::new(server.address), Instant::now());
    let paying = {
        let customers = customers.clone();
        tokio::spawn(async move { stream(&customers, Route::Payments, 50, start, LOAD).await })
    };

    let profile = TempDir::new().unwrap();
    let driver = Driver::start(&driver).await;
    let browser = driver.open(&chromium, profile.path()).await;
    browser.goto(&format!("{address}/")).await.unwrap();
    assert_eq!(browser.current_url().await.unwrap().path(), "/bulkheads/");
    until(&browser, "document.querySelectorAll('.card').length === 2").await;

    // The numbers move.
    let (payments, reports) = (card("payments"), card("reports"));
    let rate = format!("parseFloat({payments}.querySelectorAll('dd')[0].textContent)");
    until(&browser, &format!("{rate} > 10")).await;
    until(&browser, &format!("{reports}.querySelector('.badge').textContent === 'ok'")).await;

    // The window is chosen by the keyboard, so that the flood's end shows soon.
    focus(&browser, "#window").await;
    press(&browser, &Key::Up.to_string()).await;
    assert_eq!(evaluate(&browser, "document.getElementById('window').value").await, "10");

    // A flood: the bulkhead of the reports turns, and says what is wrong and what to do.
    let flooding = {
        let customers = customers.clone();
        tokio::spawn(async move { flood(&customers, 64, Instant::now(), LOAD).await })
    };
    until(&browser, &format!("{reports}.dataset.severity === 'critical'")).await;
    let advice =
        format!("[...{reports}.querySelectorAll('.findings li p')].map((p) => p.innerText)");
    let advice = evaluate(&browser, &advice).await;
    let lines: Vec<_> =
        advice.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(lines.len() >= 2 && lines[0].starts_with("critical"), "{lines:?}");
    assert!(lines[1].len() > 20, "{lines:?}");
    let calm = format!("{payments}.dataset.severity");
    assert_ne!(evaluate(&browser, &calm).await, "critical");

    // Details are opened, and the list is filtered, without a mouse.
    focus(&browser, ".card summary").await;
    press(&browser, &Key::Enter.to_string()).await;
    until(&browser, "document.querySelector('.card details').open").await;
    let table = "document.querySelector('.card details').innerText.includes('saturated')";
    until(&browser, table).await;
    for width in [1280, 390] {
        for scheme in ["light", "dark"] {
            look(&browser, width, scheme).await;
        }
    }

    // The flood ends, and the bulkhead recovers.
    flooding.abort();
    let announced = "document.getElementById('announcer').textContent.includes('was critical')";
    until(&browser, &format!("['ok', 'notice'].includes({reports}.dataset.severity)")).await;
    until(&browser, announced).await;
    browser.execute("document.activeElement.blur()", Vec::new()).await.unwrap();
    focus(&browser, "#filter").await;
    press(&browser, "PAY").await;
    until(&browser, "document.querySelectorAll('.card').length === 1").await;

    assert_clean(&browser, &address).await;
    browser.close().await.unwrap();
    paying.abort();
    server.stop().await.unwrap();
}
