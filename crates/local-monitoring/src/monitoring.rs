use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use aws_wire::{DEFAULT_ACCOUNT_ID, DEFAULT_REGION, JsonService};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::call::region_key;
use crate::cloudwatch::{CloudWatch, evaluate_all};
use crate::logs::Logs;
use crate::metric::Measured;
use crate::store::Store;

/// Why what was measured cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the store of metrics, alarms and logs")]
pub struct MonitoringError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// How often alarms are looked at.
const EVALUATE_EVERY: Duration = Duration::from_secs(1);

/// How often data is let go that is too old, in evaluations.
const PRUNE_EVERY: u64 = 600;

/// CloudWatch and its Logs. Cheap to clone.
#[derive(Clone)]
pub struct Monitoring {
    store: Arc<Store>,
    ambient: Ambient,
}

impl Monitoring {
    /// Opens what is kept in `folder`, which is theirs, and makes it where there is none. May block.
    pub fn open(folder: &Path, ambient: Ambient) -> Result<Self, MonitoringError> {
        std::fs::create_dir_all(folder).map_err(|error| MonitoringError(error.into()))?;
        let store = Store::open(&folder.join("monitoring.sqlite")).map_err(|error| MonitoringError(error.into()))?;
        Ok(Self { store: Arc::new(store), ambient })
    }

    pub fn cloudwatch(&self) -> Arc<dyn JsonService> {
        Arc::new(CloudWatch { store: self.store.clone(), ambient: self.ambient.clone() })
    }

    pub fn logs(&self) -> Arc<dyn JsonService> {
        Arc::new(Logs { store: self.store.clone(), ambient: self.ambient.clone() })
    }

    /// Takes what this process measured of itself, into the default account and region. May block.
    pub fn take(&self, namespace: &str, measured: &[Measured], now_ms: i64) {
        let region = region_key(DEFAULT_ACCOUNT_ID, DEFAULT_REGION);
        if let Err(error) = self.store.put_data(&region, namespace, measured, now_ms) {
            warn!(%error, "metrics are not kept");
        }
    }

    /// Evaluates alarms and lets old data go until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut rounds = 0_u64;
        while shutdown.run_until_cancelled(tokio::time::sleep(EVALUATE_EVERY)).await.is_some() {
            let (store, now_ms) = (self.store.clone(), self.ambient.now_ms());
            let prunes = rounds.is_multiple_of(PRUNE_EVERY);
            rounds += 1;
            let round = tokio::task::spawn_blocking(move || {
                evaluate_all(&store, now_ms)?;
                if prunes { store.prune(now_ms) } else { Ok(()) }
            });
            match round.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "alarms are not evaluated"),
                Err(panic) => warn!(error = %panic, "alarms are not evaluated"),
            }
        }
    }
}
