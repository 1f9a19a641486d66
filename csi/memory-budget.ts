import { status } from '@grpc/grpc-js';
import { CsiError } from './errors.ts';

interface Held {
  readonly bytes: number;
  /** Undefined for what an earlier process mounted, until the kubelet comes back to it. */
  readonly namespace: string | undefined;
}

/** No namespace may fill a node alone. */
const namespaceShare = 0.5;
const mebibyte = 1_048_576;

/**
 * The memory that the volumes of a node take. It counts as the driver's own, and outlives it: a driver that had more than
 * its limit would be killed again each time it starts.
 */
export class MemoryBudget {
  readonly #maxBytes: number;
  readonly #held = new Map<string, Held>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Counts a volume that is there already. */
  recover(volume: string, bytes: number): void {
    this.#held.set(volume, { bytes, namespace: undefined });
  }

  /** Says whose a volume is that was recovered. */
  assign(volume: string, namespace: string): void {
    const held = this.#held.get(volume);
    if (held !== undefined) this.#held.set(volume, { ...held, namespace });
  }

  /**
   * From now on the volume takes `bytes`; less than before is never refused.
   * @throws CsiError RESOURCE_EXHAUSTED
   */
  take(volume: string, namespace: string, bytes: number): void {
    const others = [...this.#held].filter(([name]) => name !== volume).map(([, held]) => held);
    if (bytes > (this.#held.get(volume)?.bytes ?? 0)) {
      const ofNamespace = others.filter((held) => held.namespace === namespace);
      if (sumOf(others) + bytes > this.#maxBytes) throw this.#full('of this node', this.#maxBytes);
      const most = this.#maxBytes * namespaceShare;
      if (sumOf(ofNamespace) + bytes > most) throw this.#full(`of namespace ${namespace} on this node`, most);
    }
    this.#held.set(volume, { bytes, namespace });
  }

  release(volume: string): void {
    this.#held.delete(volume);
  }

  #full(whose: string, bytes: number): CsiError {
    const most = Math.floor(bytes / mebibyte);
    return new CsiError(
      status.RESOURCE_EXHAUSTED,
      `the volumes ${whose} may take ${most} MiB of memory, and there is too little left for this one: have fewer or smaller ones, or raise --volumes-mib of the driver (csi.volumesMiB of the chart)`,
    );
  }
}

const sumOf = (all: readonly Held[]): number => all.reduce((sum, { bytes }) => sum + bytes, 0);
