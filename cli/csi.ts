import { centreConfigurations } from '../csi/centre-configurations.ts';
import { type Driver, startDriver } from '../csi/driver.ts';
import { linuxMounts } from '../csi/mounts.ts';
import { realTimers } from '../platform/kubernetes/timers.ts';
import type { Logger } from '../platform/logger.ts';
import { createMetrics } from '../platform/metrics.ts';
import { openCentre } from './centre-client.ts';
import type { CsiSettings } from './csi-settings.ts';
import { startManagement } from './management-listener.ts';
import { observeCsi, observeVolumes } from './observe-csi.ts';

/** Whoever has just found a file opens it within this time. */
const settleMs = 100;

/** A running CSI driver of a node. */
export interface CsiDriver {
  /** The socket by which the kubelet calls it. */
  readonly endpoint: string;
  /** Ends calls under way in order; volumes stay mounted. */
  close(): Promise<void>;
}

/**
 * Starts the driver. It is ready once the kubelet has registered it; the centre may be away, as files that are mounted
 * outlive that.
 * @throws Error with a message for people: a file that cannot be read, a folder of the kubelet that is not there
 */
export async function startCsi(settings: CsiSettings, log: Logger): Promise<CsiDriver> {
  await using parts = new AsyncDisposableStack();
  const metrics = createMetrics();
  let driver: Driver | undefined;
  let isEnding = false;
  const notReady = (): readonly string[] => {
    if (isEnding) return ['ending'];
    return driver === undefined ? ['starting'] : driver.problem === undefined ? [] : [driver.problem];
  };
  const centre = await openCentre(settings, log, parts);
  const management = await startManagement({ metrics, notReady }, settings.management, parts);
  driver = await startDriver({
    kubeletRoot: settings.kubeletRoot,
    nodeName: settings.nodeName,
    refreshMs: settings.refreshMs,
    volumesBytes: settings.volumesBytes,
    source: centreConfigurations(centre),
    mounts: linuxMounts(log),
    timers: realTimers,
    now: Date.now,
    random: Math.random,
    settle: () => new Promise((resolve) => realTimers.after(settleMs, resolve)),
    observer: observeCsi(log, metrics),
    log,
  });
  const { endpoint, close } = driver;
  observeVolumes(metrics, driver);
  parts.defer(close);
  log.info({ endpoint, centre: settings.centre, node: settings.nodeName }, 'listening');
  const started = parts.move();
  return {
    endpoint,
    close: async () => {
      isEnding = true;
      await close();
      await management.drain(0);
      await started.disposeAsync();
    },
  };
}
