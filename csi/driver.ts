import { join } from 'node:path';
import { driverName } from '../connectors/configurations/protocol.ts';
import type { Timers } from '../platform/kubernetes/timers.ts';
import type { Logger } from '../platform/logger.ts';
import type { ConfigurationSource } from './configuration-source.ts';
import { identity } from './identity.ts';
import type { Mounts } from './mounts.ts';
import { nodeServiceOf, type VolumeObserver } from './node-service.ts';
import { Registration } from './registration.ts';
import { RevisionWatch } from './revision-watch.ts';
import { identityService, nodeService } from './services.ts';
import { UnixServer } from './unix-server.ts';
import { Volumes } from './volumes.ts';

export interface DriverOptions {
  readonly kubeletRoot: string;
  readonly nodeName: string;
  readonly source: ConfigurationSource;
  readonly mounts: Mounts;
  /** Within it a change of a connector shows in the files. */
  readonly refreshMs: number;
  /** How much memory the volumes may take together. */
  readonly volumesBytes: number;
  readonly timers: Timers;
  /** In epoch milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  /** Of AtomicFolder. */
  readonly settle: () => Promise<void>;
  readonly observer: DriverObserver;
  readonly log: Logger;
}

/** Told what the driver does. */
export interface DriverObserver extends VolumeObserver {
  /** How a question to the centre went: undefined for a good answer. */
  asked(question: 'render' | 'revisions', error: unknown): void;
}

export interface Driver {
  /** Where the kubelet calls it. */
  readonly endpoint: string;
  /** Why it is not ready; undefined when it is. */
  readonly problem: string | undefined;
  readonly mountedVolumes: number;
  /** Ends calls under way in order; volumes stay mounted. */
  close(): Promise<void>;
}

/** The kubelet waits as long for each call at most as we do. */
const closeGraceMs = 10_000;
/** Of the time that a change may take; the rest is for the kubelet, which comes about every minute. */
const revisionsShare = 0.5;

/** Starts the driver on its two sockets below the kubelet's folder. */
export async function startDriver(options: DriverOptions): Promise<Driver> {
  const { kubeletRoot, source, timers, observer, log } = options;
  await using parts = new AsyncDisposableStack();
  const revisions = new RevisionWatch({
    source,
    timers,
    everyMs: options.refreshMs * revisionsShare,
    random: options.random,
    onAsked: (error) => observer.asked('revisions', error),
  });
  parts.defer(() => revisions.close());
  const volumes = new Volumes({
    kubeletRoot,
    source,
    revisions,
    timers,
    memoryBytes: options.volumesBytes,
    mounts: options.mounts,
    now: options.now,
    settle: options.settle,
    onAsked: (error) => observer.asked('render', error),
  });
  await volumes.recover();
  const node = nodeServiceOf({ nodeName: options.nodeName, volumes, observer });
  const server = await UnixServer.listen({
    path: join(kubeletRoot, 'plugins', driverName, 'csi.sock'),
    timers,
    services: [
      [identityService, identity],
      [nodeService, node],
    ],
    onRenewed: (err) =>
      err === undefined
        ? log.info('the socket of the driver was gone, and is there again')
        : log.error({ err }, 'the socket of the driver cannot be made'),
  });
  parts.defer(async () => {
    await Promise.all([volumes.close(), server.close(closeGraceMs)]);
  });
  const endpoint = server.path;
  const registration = await Registration.start({ kubeletRoot, endpoint, timers, log });
  parts.defer(() => registration.close());
  revisions.start();
  const started = parts.move();
  return {
    endpoint,
    get problem() {
      return registration.problem;
    },
    get mountedVolumes() {
      return volumes.size;
    },
    close: () => started.disposeAsync(),
  };
}
