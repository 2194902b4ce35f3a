//! The effects of scopes, each run at most once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lash_core::runtime::{
    EffectHost, EffectScope, RuntimeEffectControllerError, RuntimeEffectEnvelope, RuntimeEffectLocalExecutor,
    RuntimeEffectOutcome,
};
use lash_sqlite_store::SqliteEffectHost;
use serde_json::{Value, json};

use crate::{Answer, Arguments, text};

pub struct Effects(SqliteEffectHost);

impl Effects {
    pub async fn open(path: &Path) -> Result<Self, String> {
        Ok(Self(SqliteEffectHost::open(path).await.map_err(text)?))
    }

    pub async fn perform(&self, op: &str, arguments: &Arguments) -> Answer {
        match op {
            "start_replay" => {
                self.0.start_replay();
                Ok(Value::Null)
            }
            "execute" => self.execute(arguments).await,
            _ => Err(format!("no operation of an effect host: {op}")),
        }
    }

    /// The outcome, and how often the effect was run here: that takes `takes_ms`, and gives `outcome` or `failure`.
    async fn execute(&self, arguments: &Arguments) -> Answer {
        let scope: EffectScope = arguments.get("scope")?;
        let envelope: RuntimeEffectEnvelope = arguments.get("envelope")?;
        let result: Result<RuntimeEffectOutcome, RuntimeEffectControllerError> = match arguments.get("failure")? {
            Some(failure) => Err(failure),
            None => Ok(arguments.get("outcome")?),
        };
        let takes = Duration::from_millis(arguments.get::<Option<u64>>("takes_ms")?.unwrap_or(0));
        let executed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&executed);
        let executor = RuntimeEffectLocalExecutor::testing(move |_| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(takes).await;
            result
        });
        let scoped = self.0.scoped(scope).map_err(text)?;
        let outcome = scoped
            .controller()
            .execute_effect(envelope, executor)
            .await
            .map_err(text)?;
        Ok(json!({ "outcome": outcome, "executed": executed.load(Ordering::SeqCst) }))
    }
}
