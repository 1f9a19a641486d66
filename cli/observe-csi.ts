import { status } from '@grpc/grpc-js';
import { Counter, Gauge } from 'prom-client';
import { formatKey } from '../connectors/address.ts';
import type { Driver, DriverObserver } from '../csi/driver.ts';
import type { CsiError } from '../csi/errors.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Logger } from '../platform/logger.ts';
import type { Metrics } from '../platform/metrics.ts';

/** A line for each volume that comes, goes or is refused, none for the kubelet's return every minute; and the figures. */
export function observeCsi(log: Logger, { registry }: Metrics): DriverObserver {
  const registers = [registry];
  const publishes = new Counter({
    name: 'oci_connector_csi_publishes_total',
    help: 'NodePublishVolume by result: mounted, refreshed, fresh (nobody asked), kept (centre away), or the gRPC code of the error.',
    labelNames: ['result'],
    registers,
  });
  const asks = new Counter({
    name: 'oci_connector_csi_asks_total',
    help: 'Questions to the centre, for files (render) or revisions, by result: ok or the code of the error.',
    labelNames: ['question', 'result'],
    registers,
  });
  let isAway = false;
  return {
    published: ({ pod, want, volumeId }, result) => {
      publishes.inc({ result });
      const names = { pod, volumeId, connectors: want.connectors.map(formatKey), configurations: want.names };
      log[result === 'mounted' ? 'info' : 'debug'](names, `volume ${result}`);
    },
    publishFailed: (pod, connectors, error) => {
      publishes.inc({ result: nameOf(error) });
      log.warn({ pod, connectors, code: nameOf(error), reason: error.message }, 'volume refused');
      tellUnexpected(log, error);
    },
    unpublished: (target) => log.info({ target }, 'volume gone'),
    unpublishFailed: (target, error) => {
      log.warn({ target, code: nameOf(error), reason: error.message }, 'volume cannot be taken away');
      tellUnexpected(log, error);
    },
    asked: (question, error) => {
      asks.inc({ question, result: resultOf(error) });
      if (question !== 'revisions') return;
      const wasAway = isAway;
      isAway = error !== undefined;
      if (isAway && !wasAway) log.warn({ reason: resultOf(error) }, 'the centre tells no revisions: changes show late');
      if (!isAway && wasAway) log.info('the centre tells revisions again');
    },
  };
}

/** How many volumes the driver has mounted, at the moment it is asked. */
export function observeVolumes({ registry }: Metrics, driver: Pick<Driver, 'mountedVolumes'>): void {
  new Gauge({
    name: 'oci_connector_csi_volumes',
    help: 'Volumes that are mounted; after a restart each is counted from the next time that the kubelet comes.',
    registers: [registry],
    collect() {
      this.set(driver.mountedVolumes);
    },
  });
}

const nameOf = ({ code }: CsiError): string => status[code];

function resultOf(error: unknown): string {
  if (error === undefined) return 'ok';
  return error instanceof ProxyError ? error.code : 'FAILED';
}

function tellUnexpected(log: Logger, { code, cause }: CsiError): void {
  if (code === status.INTERNAL) log.error({ err: cause }, 'unexpected error');
}
