import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of a process, in a registry of its own. Labels come from connectors, never from what a caller wrote. */
export interface Metrics {
  readonly registry: Registry;
  readonly proxyRequests: Counter<'connector' | 'endpoint' | 'action' | 'status'>;
  readonly proxyBytes: Counter<'connector'>;
  readonly proxyReceivedBytes: Counter<'connector'>;
  readonly proxySeconds: Histogram<'endpoint'>;
  readonly proxyErrors: Counter<'connector' | 'code'>;
  readonly tokenExchanges: Counter<'connector' | 'result'>;
  readonly tokenReviews: Counter<'result'>;
  readonly probes: Counter<'probe' | 'result'>;
  readonly reviewedImages: Counter<'reason'>;
  readonly reviewSeconds: Histogram<string>;
  readonly connectors: Gauge<string>;
  readonly manifestProblems: Gauge<string>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const seconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600];
  return {
    registry,
    proxyRequests: new Counter({
      name: 'oci_connector_proxy_requests_total',
      help: 'Requests answered by the proxy. Connector, endpoint and action (pull, push, delete) are empty where a request names none.',
      labelNames: ['connector', 'endpoint', 'action', 'status'],
      registers,
    }),
    proxyBytes: new Counter({
      name: 'oci_connector_proxy_body_bytes_total',
      help: 'Bytes of bodies that went through the proxy to callers.',
      labelNames: ['connector'],
      registers,
    }),
    proxyReceivedBytes: new Counter({
      name: 'oci_connector_proxy_received_bytes_total',
      help: 'Bytes of bodies that went from callers through the proxy to registries.',
      labelNames: ['connector'],
      registers,
    }),
    proxySeconds: new Histogram({
      name: 'oci_connector_proxy_request_seconds',
      help: 'Time from a request to the end of its answer.',
      labelNames: ['endpoint'],
      buckets: seconds,
      registers,
    }),
    proxyErrors: new Counter({
      name: 'oci_connector_proxy_errors_total',
      help: 'Requests that ended with an error of ours, by its code.',
      labelNames: ['connector', 'code'],
      registers,
    }),
    tokenExchanges: new Counter({
      name: 'oci_connector_token_exchanges_total',
      help: 'Token exchanges with registries, by result: granted, refused, failed.',
      labelNames: ['connector', 'result'],
      registers,
    }),
    probes: new Counter({
      name: 'oci_connector_probes_total',
      help: 'Probes of registries by the leading replica: liveness and authentication, ok or the reason of the failure.',
      labelNames: ['probe', 'result'],
      registers,
    }),
    tokenReviews: new Counter({
      name: 'oci_connector_token_reviews_total',
      help: 'TokenReviews asked of the API server, by result: accepted, refused, failed.',
      labelNames: ['result'],
      registers,
    }),
    reviewedImages: new Counter({
      name: 'oci_connector_webhook_images_total',
      help: 'Images that the webhook decided on, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    reviewSeconds: new Histogram({
      name: 'oci_connector_webhook_review_seconds',
      help: 'Time the webhook takes for an AdmissionReview.',
      buckets: [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 1],
      registers,
    }),
    connectors: new Gauge({ name: 'oci_connector_connectors', help: 'Connectors that are known.', registers }),
    manifestProblems: new Gauge({
      name: 'oci_connector_manifest_problems',
      help: 'Problems in manifests at their last reading; their files serve their last good version.',
      registers,
    }),
  };
}
