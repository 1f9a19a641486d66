import { setTimeout as delay } from 'node:timers/promises';
import type { Peer } from './peers.ts';
import { mebibytes } from './table.ts';
import { usageOf } from './usage.ts';

export const rssMaxAllowedBytes = 200 * 2 ** 20;
const sampleMs = 50;

/** The memory of a proxy before and during a load. */
export interface Memory<T> {
  readonly load: T;
  readonly rssBeforeBytes: number;
  readonly rssMaxBytes: number;
}

/** Watches a proxy's memory for as long as `load` takes. */
export async function watchMemory<T>(peer: Peer, load: Promise<T>): Promise<Memory<T>> {
  const rssBeforeBytes = usageOf(peer.pid).rssBytes;
  let isOver = false;
  const onEnd = (): void => {
    isOver = true;
  };
  load.then(onEnd, onEnd);
  let rssMaxBytes = rssBeforeBytes;
  for (; !isOver; await delay(sampleMs)) rssMaxBytes = Math.max(rssMaxBytes, usageOf(peer.pid).rssBytes);
  return { load: await load, rssBeforeBytes, rssMaxBytes };
}

/** As a row of a table. */
export const memoryCells = ({ rssBeforeBytes, rssMaxBytes }: Memory<unknown>): string[] => [
  mebibytes(rssBeforeBytes),
  mebibytes(rssMaxBytes),
];
