import { Gauge } from 'prom-client';
import { formatKey } from '../connectors/address.ts';
import type { ConnectorStore } from '../connectors/catalogue.ts';
import type { Logger } from '../platform/logger.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Operation, OperationObserver } from '../proxy/operation.ts';
import type { WebhookDependencies } from '../webhook/server.ts';

/** Codes that say what a caller did wrong; they are worth a line, but not a warning. */
const callersOwn: ReadonlySet<string> = new Set([
  'CANCELLED',
  'CALLER_UNKNOWN',
  'PROXY_CALLER_UNKNOWN',
  'ROUTE_UNKNOWN',
  'NAME_INVALID',
  'REFERENCE_INVALID',
  'HOST_MISDIRECTED',
  'UPLOAD_UNKNOWN',
]);

/**
 * One line for each operation, and its figures. What a known caller did, or was denied, or what failed for it, is an
 * audit line.
 */
export function observeProxy(log: Logger, metrics: Metrics): OperationObserver {
  // These lines are made of fields that hold no secret; to look for one would cost more than all the rest of a line.
  const audit = log.child({ audit: true }, { redact: [] });
  return (operation, cause) => {
    count(operation, metrics);
    const { connector, durationMs, error, isAdmitted, reason, ...facts } = operation;
    const line = { ...facts, connector: connector && formatKey(connector), ms: Math.round(durationMs) };
    if (error !== undefined) {
      const isKnown = operation.caller !== undefined;
      log[levelOf(error)](
        { ...line, error, reason: reasonOf(cause), ...(isKnown && { audit: true }) },
        'request failed',
      );
    } else if (operation.endpoint === 'base') {
      log.debug(line, 'ping');
    } else {
      const level = operation.status >= 500 ? 'warn' : 'info';
      audit[level]({ ...line, reason: reason || undefined }, operation.action ?? 'tunnel');
    }
    if (error === 'INTERNAL') log.error({ err: cause }, 'unexpected error');
  };
}

/** Every client begins without its token, and sends it when it is asked for. */
function levelOf(error: string): 'debug' | 'info' | 'warn' {
  if (error === 'TOKEN_REQUIRED' || error === 'PROXY_TOKEN_REQUIRED') return 'debug';
  return callersOwn.has(error) ? 'info' : 'warn';
}

const readinessOf = (isReady: boolean | undefined) => (isReady === undefined ? 'unknown' : isReady ? 'true' : 'false');

/** What the centre knows at the moment it is asked: how many connectors are ready, and whether this replica leads. */
export function observeCentre(
  { registry }: Metrics,
  store: ConnectorStore,
  election: { readonly isLeader: boolean },
): void {
  const registers = [registry];
  new Gauge({
    name: 'oci_connector_connectors_by_readiness',
    help: 'Connectors by their condition Ready: true, false, or unknown where it is not decided yet.',
    labelNames: ['ready'],
    registers,
    collect() {
      const counts = { true: 0, false: 0, unknown: 0 };
      for (const { isReady } of store.catalogue.connectors) counts[readinessOf(isReady)] += 1;
      for (const [ready, count] of Object.entries(counts)) this.set({ ready }, count);
    },
  });
  new Gauge({
    name: 'oci_connector_leader',
    help: '1 for the replica that writes.',
    registers,
    collect() {
      this.set(election.isLeader ? 1 : 0);
    },
  });
}

/** The figures of a webhook's decisions. */
export function observeWebhook(metrics: Metrics): Required<Pick<WebhookDependencies, 'onDecision' | 'onAnswer'>> {
  return {
    onDecision: ({ images }) => {
      for (const { reason } of images) metrics.reviewedImages.inc({ reason });
    },
    onAnswer: (seconds) => metrics.reviewSeconds.observe(seconds),
  };
}

/** Messages of network errors name hosts and addresses, and nothing that was sent. */
const reasonOf = (cause: unknown): string | undefined => (cause instanceof Error ? cause.message : undefined);

function count(operation: Operation, metrics: Metrics): void {
  // Names that a caller made up must not become labels: they would grow without bound.
  const connector = operation.isAdmitted && operation.connector ? formatKey(operation.connector) : '';
  const endpoint = operation.endpoint ?? '';
  metrics.proxyRequests.inc({ connector, endpoint, action: operation.action ?? '', status: String(operation.status) });
  metrics.proxyBytes.inc({ connector }, operation.bytes);
  if (operation.received !== undefined) metrics.proxyReceivedBytes.inc({ connector }, operation.received);
  metrics.proxySeconds.observe({ endpoint }, operation.durationMs / 1000);
  if (operation.error !== undefined) metrics.proxyErrors.inc({ connector, code: operation.error });
}
