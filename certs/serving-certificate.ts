import { checkPeriodically } from '../platform/periodic-check.ts';
import { type Authority, bundle, type KeyPair, serializeAuthority } from './authority.ts';
import { loadAuthority } from './authority-store.ts';
import { certificateDirectory } from './certificate-directory.ts';
import type { CertificateStore } from './certificate-store.ts';
import { loadKeyPair } from './key-pair.ts';
import { defaultLifetimes, type Lifetimes, signer } from './rotation.ts';
import { restoreText } from './text-store.ts';

const HOUR_MS = 60 * 60_000;

/** Where it is kept: the path of a directory of its own, or another store, shared by the processes that serve it. */
type Place = { readonly directory: string } | { readonly store: CertificateStore };

export type ServingCertificateOptions = Place & {
  /** The DNS names and IP addresses that clients call. */
  readonly names: readonly string[];
  readonly lifetimes?: Partial<Lifetimes>;
  /** How often to look whether something is due, or was rotated by another process. Default: an hour, or less for short lives. */
  readonly checkEveryMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** Told why a check by the timer failed. The current certificate goes on serving, and the next check tries again. */
  readonly onError: (error: unknown) => void;
};

export interface ServingCertificate {
  /** What to serve, PEM. */
  readonly current: KeyPair;
  /** What clients have to trust, PEM: several CAs while one replaces another. */
  readonly caBundle: string;
  /** Calls `listener` after each change of `current` or `caBundle`. Returns a function that ends it. */
  onChange(listener: () => void): () => void;
  /** Rotates what is due, and takes over what another process has rotated. A timer calls it. */
  check(): Promise<void>;
  /** Stops the timer and waits for a check under way. */
  close(): Promise<void>;
}

/**
 * Opens the certificate of the `serving` authority: the stored one while it is good, otherwise a new one. A store that
 * loses its authority meanwhile gets it back. Rejects where the stored authority cannot be read.
 */
export async function openServingCertificate(options: ServingCertificateOptions): Promise<ServingCertificate> {
  const { names, now = Date.now, onError } = options;
  const store = 'store' in options ? options.store : certificateDirectory(options.directory);
  const lifetimes = { ...defaultLifetimes, ...options.lifetimes };
  const listeners = new Set<() => void>();

  async function load(known?: Authority) {
    const at = now();
    if (known !== undefined) await restoreText(store.authority, serializeAuthority(known));
    const authority = await loadAuthority(store.authority, at, { name: 'serving', ...lifetimes });
    const caBundle = bundle(authority);
    // Before the certificate: a client that reads the bundle knows the CA of whatever is served from here on.
    await store.writeBundle(caBundle);
    const ca = signer(authority, at, lifetimes.overlapMs);
    const current = await loadKeyPair(store, ca, { names, now: at, lifeMs: lifetimes.leafLifeMs });
    return { authority, caBundle, current };
  }

  await store.open();
  let loaded = await load();

  async function reload() {
    const before = loaded;
    loaded = await load(before.authority);
    if (loaded.current.cert === before.current.cert && loaded.caBundle === before.caBundle) return;
    for (const listener of listeners) listener();
  }

  // Certificates that live for hours only are checked often enough to be renewed in time.
  const { checkEveryMs = Math.min(HOUR_MS, lifetimes.leafLifeMs / 12) } = options;
  const check = checkPeriodically(reload, { everyMs: checkEveryMs, onError });

  return {
    get current() {
      return loaded.current;
    },
    get caBundle() {
      return loaded.caBundle;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    check: check.run,
    async close() {
      listeners.clear();
      await check.close();
    },
  };
}
