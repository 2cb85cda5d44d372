// Pins the definitions of ServiceMonitor and PrometheusRule that renders of the chart are checked against.
module stepbound.dev/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
