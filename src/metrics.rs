//! Counters and histograms of the operator, in the text format of `OpenMetrics`.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    api: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Histogram, fn() -> Histogram>,
    aws_calls: Family<CallLabels, Histogram, fn() -> Histogram>,
    token_mints: Family<OutcomeLabels, Counter>,
    session_cache: Family<OutcomeLabels, Counter>,
    orphaned: Family<KindLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("stepbound");
        let reconciles = Family::new_with_constructor(histogram as fn() -> Histogram);
        let aws_calls = Family::new_with_constructor(histogram as fn() -> Histogram);
        let token_mints = Family::default();
        let session_cache = Family::default();
        let orphaned = Family::default();
        registry.register("reconcile_seconds", "Duration of reconciles by kind and class", reconciles.clone());
        registry.register("aws_call_seconds", "Duration of AWS calls by API and outcome", aws_calls.clone());
        registry.register("token_mints", "Service account tokens asked for, by outcome", token_mints.clone());
        registry.register("session_cache", "Look-ups of the session cache, by outcome", session_cache.clone());
        registry.register("orphaned", "Objects let go while something of theirs may remain in AWS", orphaned.clone());
        Self { registry, reconciles, aws_calls, token_mints, session_cache, orphaned }
    }
}

impl Metrics {
    /// One reconcile: `class` is `success` or the label of the failure's class.
    pub fn reconcile(&self, kind: &'static str, class: &'static str, duration: Duration) {
        self.reconciles.get_or_create(&ReconcileLabels { kind, class }).observe(duration.as_secs_f64());
    }

    /// One call to AWS.
    pub fn aws_call(&self, api: &'static str, outcome: &'static str, duration: Duration) {
        self.aws_calls.get_or_create(&CallLabels { api, outcome }).observe(duration.as_secs_f64());
    }

    /// One token asked for.
    pub fn token_mint(&self, outcome: &'static str) {
        self.token_mints.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// One look-up of the session cache.
    pub fn session_cache(&self, hit: bool) {
        self.session_cache.get_or_create(&OutcomeLabels { outcome: if hit { "hit" } else { "miss" } }).inc();
    }

    /// One object let go while something of it may remain in AWS.
    pub fn orphaned(&self, kind: &'static str) {
        self.orphaned.get_or_create(&KindLabels { kind }).inc();
    }

    /// Everything as text.
    ///
    /// # Errors
    /// When the encoder cannot write into a string, which it always can.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_is_rendered() {
        let metrics = Metrics::default();
        metrics.reconcile("Workflow", "success", Duration::from_millis(3));
        metrics.session_cache(true);
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"stepbound_reconcile_seconds_count{kind="Workflow",class="success"} 1"#), "{text}");
        assert!(text.contains(r#"stepbound_session_cache_total{outcome="hit"} 1"#), "{text}");
    }
}
