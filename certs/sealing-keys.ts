import { checkPeriodically } from '../platform/periodic-check.ts';
import type { SealingKeys } from '../platform/sealing-keys.ts';
import { type KeyRing, parseKeyRing, renewKeyRing, sealingKey, serializeKeyRing } from './sealing-key-ring.ts';
import { restoreText, settle, type TextStore } from './text-store.ts';

const defaultCheckMs = 60_000;
/** An unknown key is worth a look; a stranger who makes up keys is not worth more. */
const refreshMs = 5_000;

export interface SealingKeysOptions {
  /** Shared by the processes that seal and open. */
  readonly store: TextStore;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** How often to look whether a key is due, or was made by another process; a minute when absent. */
  readonly checkEveryMs?: number;
  /** Told why a check failed that nobody waits for. The keys that are known go on. */
  readonly onError: (error: unknown) => void;
}

export interface OpenSealingKeys extends SealingKeys {
  /** Reads the store anew, but once in 5 seconds at most. Never rejects: a failure goes to `onError`. */
  refresh(): Promise<void>;
  /** Makes and drops what is due, and takes over what another process has made. A timer calls it. */
  check(): Promise<void>;
  /** Stops the timer and waits for a check under way. */
  close(): Promise<void>;
}

/**
 * Opens the keys in a store: a new one every 7 days, which seals when it is 10 minutes old; its predecessor opens for 7
 * days more. A store that loses them meanwhile gets them back. Rejects where the store cannot be read.
 */
export async function openSealingKeys(options: SealingKeysOptions): Promise<OpenSealingKeys> {
  const { store, now = Date.now, checkEveryMs = defaultCheckMs, onError } = options;
  let readAt = now();
  let ring = await load();

  async function load(known?: KeyRing): Promise<KeyRing> {
    if (known !== undefined) await restoreText(store, serializeKeyRing(known));
    return settle(store, async (text) => {
      const value = renewKeyRing(text === undefined ? undefined : parseStored(text, store.location), now());
      return { text: serializeKeyRing(value), value };
    });
  }

  async function reload() {
    readAt = now();
    ring = await load(ring);
  }

  const check = checkPeriodically(reload, { everyMs: checkEveryMs, onError });

  return {
    get current() {
      return sealingKey(ring, now());
    },
    find: (id) => ring.find((key) => key.id === id),
    async refresh() {
      // Also after a clock that was set back.
      if (!check.isRunning && Math.abs(now() - readAt) < refreshMs) return;
      await check.run().catch(onError);
    },
    check: check.run,
    close: check.close,
  };
}

function parseStored(text: string, location: string): KeyRing {
  const ring = parseKeyRing(text);
  if (ring !== undefined) return ring;
  throw new Error(
    `${location} holds no keys for the addresses of uploads: restore it from a copy, or delete it to start with a ` +
      'new key; uploads under way then begin anew',
  );
}
