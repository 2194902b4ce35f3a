//! lash v0.1.0-alpha.40's own stores, driven by lines of JSON: the other program on the file, in the tests of
//! lash_store.
//!
//! `alpha40 <session|processes|effects|host_events> <path>` opens a database, `alpha40 records` none. Each line
//! `{"op": name, "args": {...}}` of the input is answered with one line, `{"ok": value}` or `{"error": text}`; the
//! first line says whether the database could be opened.

mod effects;
mod host_events;
mod processes;
mod records;
mod session;

use std::path::Path;
use std::sync::Arc;

use lash_sqlite_store::{SqliteHostEventStore, SqliteProcessRegistry, Store};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

type Answer = Result<Value, String>;

#[derive(Clone)]
enum Opened {
    Records,
    Session(Arc<Store>),
    Processes(Arc<SqliteProcessRegistry>),
    Effects(Arc<effects::Effects>),
    HostEvents(Arc<SqliteHostEventStore>),
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let opened = open(&arguments).await;
    let mut output = tokio::io::stdout();
    let mut lines = BufReader::with_capacity(1 << 20, tokio::io::stdin()).lines();
    say(&mut output, opened.as_ref().map(|_| Value::Null).map_err(String::clone)).await;
    let Ok(opened) = opened else { return };
    while let Some(line) = lines.next_line().await.expect("read a request") {
        let request: Value = serde_json::from_str(&line).expect("a request is JSON");
        let op = request["op"]
            .as_str()
            .expect("a request names its operation")
            .to_string();
        let arguments = Arguments(request["args"].clone());
        // In a task of its own, so that a panic of the store is an answer, too.
        let running = tokio::spawn({
            let opened = opened.clone();
            async move { perform(&opened, &op, &arguments).await }
        });
        let answer = running
            .await
            .unwrap_or_else(|panicked| Err(format!("panic: {panicked}")));
        say(&mut output, answer).await;
    }
}

async fn open(arguments: &[String]) -> Result<Opened, String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (kind, path) = match *arguments.as_slice() {
        ["records"] => return Ok(Opened::Records),
        [kind, path] => (kind, Path::new(path)),
        _ => return Err("usage: alpha40 records | <session|processes|effects|host_events> <path>".to_string()),
    };
    Ok(match kind {
        "session" => Opened::Session(Arc::new(Store::open(path).await.map_err(text)?)),
        "processes" => Opened::Processes(Arc::new(SqliteProcessRegistry::open(path).await.map_err(text)?)),
        "effects" => Opened::Effects(Arc::new(effects::Effects::open(path).await?)),
        "host_events" => Opened::HostEvents(Arc::new(SqliteHostEventStore::open(path).await.map_err(text)?)),
        _ => return Err(format!("no kind of database: {kind}")),
    })
}

async fn say(output: &mut tokio::io::Stdout, answer: Answer) {
    let mut line = match answer {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error }),
    }
    .to_string();
    line.push('\n');
    output.write_all(line.as_bytes()).await.expect("write an answer");
    output.flush().await.expect("write an answer");
}

async fn perform(opened: &Opened, op: &str, arguments: &Arguments) -> Answer {
    match opened {
        Opened::Records => records::perform(op, arguments),
        Opened::Session(store) => session::perform(store, op, arguments).await,
        Opened::Processes(registry) => processes::perform(registry, op, arguments).await,
        Opened::Effects(effects) => effects.perform(op, arguments).await,
        Opened::HostEvents(store) => host_events::perform(store, op, arguments).await,
    }
}

/// The arguments of a request, by name; one that is not given is null.
struct Arguments(Value);

impl Arguments {
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        serde_json::from_value(self.0[name].clone()).map_err(|error| format!("{name}: {error}"))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        self.get(name)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn value(result: Result<impl serde::Serialize, impl std::fmt::Display>) -> Answer {
    serde_json::to_value(result.map_err(text)?).map_err(text)
}
