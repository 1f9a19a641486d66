import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { observeCsi } from '../../../cli/observe-csi.ts';
import { type Driver, startDriver } from '../../../csi/driver.ts';
import { parseMountInfo } from '../../../csi/mount-table.ts';
import { linuxMounts, type Mounts } from '../../../csi/mounts.ts';
import type { VolumeObserver } from '../../../csi/node-service.ts';
import { createLogger } from '../../../platform/logger.ts';
import { createMetrics } from '../../../platform/metrics.ts';
import { ManualTimers } from '../../platform/kubernetes/support/manual-timers.ts';
import { connectTo, type KubeletClient } from './kubelet.ts';
import { type FakeSource, fakeSource } from './source.ts';

/** A driver below a kubelet's folder of its own, called over its socket. */
export interface Scene {
  readonly kubeletRoot: string;
  readonly source: FakeSource;
  readonly timers: ManualTimers;
  /** Every line of the log, and what the observer was told. */
  readonly lines: string[];
  readonly results: string[];
  readonly driver: Driver;
  readonly node: KubeletClient;
  /** The path of a volume's target, whose parent exists. */
  target(name: string): Promise<string>;
  /** Ends the driver and starts another one in its place; volumes stay. */
  restart(): Promise<void>;
}

export interface SceneOptions {
  /** In place of the real ones, made of those. */
  readonly mounts?: (real: Mounts) => Mounts;
  readonly settle?: () => Promise<void>;
  readonly volumesBytes?: number;
}

/** Epoch milliseconds at which the clock of a scene is 0. */
const startAt = 1_800_000_000_000;

export async function openScene(parts: AsyncDisposableStack, options: SceneOptions = {}): Promise<Scene> {
  const kubeletRoot = await realpath(await mkdtemp(join(tmpdir(), 'csi-')));
  parts.defer(() => removeRoot(kubeletRoot));
  const timers = new ManualTimers();
  const now = () => startAt + timers.now();
  const source = fakeSource({ now });
  const lines: string[] = [];
  const results: string[] = [];
  const log = createLogger({ level: 'info', isPretty: false }, { write: (line) => void lines.push(line) });
  const real = linuxMounts(log);
  const observed = observeCsi(log, createMetrics());
  const start = () =>
    startDriver({
      kubeletRoot,
      source,
      log,
      timers,
      nodeName: 'node-1',
      mounts: options.mounts?.(real) ?? real,
      refreshMs: 300_000,
      volumesBytes: options.volumesBytes ?? 268_435_456,
      now,
      settle: options.settle ?? (async () => {}),
      random: () => 0.5,
      observer: { ...observed, ...recordInto(results, observed) },
    });
  let driver = await start();
  let node = connectTo(driver.endpoint);
  const end = async (): Promise<void> => {
    node.close();
    await driver.close();
  };
  parts.defer(() => end());
  return {
    kubeletRoot,
    source,
    timers,
    lines,
    results,
    get driver() {
      return driver;
    },
    get node() {
      return node;
    },
    target: (name) => makeTarget(kubeletRoot, name),
    restart: async () => {
      await end();
      driver = await start();
      node = connectTo(driver.endpoint);
    },
  };
}

export async function makeTarget(kubeletRoot: string, name: string): Promise<string> {
  const target = join(kubeletRoot, 'pods', name, 'volumes/kubernetes.io~csi/config/mount');
  await mkdir(dirname(target), { recursive: true, mode: 0o750 });
  return target;
}

function recordInto(results: string[], next: VolumeObserver): VolumeObserver {
  return {
    published: (request, result) => {
      results.push(result);
      next.published(request, result);
    },
    publishFailed: (pod, connectors, error) => {
      results.push(`${pod} ${connectors}: ${error.message}`);
      next.publishFailed(pod, connectors, error);
    },
    unpublished: (target) => {
      results.push('unpublished');
      next.unpublished(target);
    },
    unpublishFailed: (target, error) => {
      results.push(error.message);
      next.unpublishFailed(target, error);
    },
  };
}

/** Where something is mounted below a folder, the uppermost last. */
export async function mountedBelow(folder: string): Promise<readonly string[]> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts.map(({ target }) => target).filter((target) => target.startsWith(`${folder}/`));
}

/** Whatever is mounted below it, and the folder. */
export async function removeRoot(kubeletRoot: string): Promise<void> {
  const { unmount } = linuxMounts(pino({ level: 'silent' }));
  for (const target of (await mountedBelow(kubeletRoot)).toReversed()) await unmount(target);
  await rm(kubeletRoot, { recursive: true, force: true });
}
