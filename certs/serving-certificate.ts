import { bundle, type KeyPair } from './authority.ts';
import { type AuthorityStore, authorityFile, loadAuthority } from './authority-store.ts';
import { certificatePaths, loadKeyPair, openCertificateDirectory, writeBundle } from './certificate-directory.ts';
import { defaultLifetimes, type Lifetimes, signer } from './rotation.ts';

const HOUR_MS = 60 * 60_000;

export interface ServingCertificateOptions {
  /** A directory of its own: `ca.pem` (secret), `ca.crt` (for clients), `tls.crt` and `tls.key`. */
  readonly directory: string;
  /** The DNS names and IP addresses that clients call. */
  readonly names: readonly string[];
  /** Where the authority is kept, when not in `ca.pem`. */
  readonly store?: AuthorityStore;
  readonly lifetimes?: Partial<Lifetimes>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** Told why a check by the timer failed. The current certificate goes on serving, and the next check tries again. */
  readonly onError: (error: unknown) => void;
}

export interface ServingCertificate {
  /** What to serve, PEM. */
  readonly current: KeyPair;
  /** What clients have to trust, PEM: several CAs while one replaces another. */
  readonly caBundle: string;
  /** Calls `listener` after each change of `current` or `caBundle`. Returns a function that ends it. */
  onChange(listener: () => void): () => void;
  /** Rotates what is due, and takes over what another process has rotated. A timer calls it at least once an hour. */
  check(): Promise<void>;
  /** Stops the timer and waits for a check under way. */
  close(): Promise<void>;
}

/**
 * Opens the certificate of the `serving` authority: the one in the directory while it is good, otherwise a new one.
 * Rejects where the stored authority cannot be read.
 */
export async function openServingCertificate(options: ServingCertificateOptions): Promise<ServingCertificate> {
  const { directory, names, now = Date.now, onError } = options;
  const store = options.store ?? authorityFile(certificatePaths(directory).authority);
  const lifetimes = { ...defaultLifetimes, ...options.lifetimes };
  const listeners = new Set<() => void>();
  let checking: Promise<void> | undefined;

  async function load() {
    const at = now();
    const authority = await loadAuthority(store, at, { name: 'serving', ...lifetimes });
    const caBundle = bundle(authority);
    // Before the certificate: a client that reads the bundle knows the CA of whatever is served from here on.
    await writeBundle(directory, caBundle);
    const ca = signer(authority, at, lifetimes.overlapMs);
    return { caBundle, current: await loadKeyPair(directory, ca, { names, now: at, lifeMs: lifetimes.leafLifeMs }) };
  }

  await openCertificateDirectory(directory);
  let loaded = await load();

  async function reload() {
    const before = loaded;
    loaded = await load();
    if (loaded.current.cert === before.current.cert && loaded.caBundle === before.caBundle) return;
    for (const listener of listeners) listener();
  }

  function check() {
    checking ??= reload().finally(() => {
      checking = undefined;
    });
    return checking;
  }

  // Certificates that live for hours only are checked often enough to be renewed in time.
  const timer = setInterval(() => check().catch(onError), Math.min(HOUR_MS, lifetimes.leafLifeMs / 12)).unref();

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
    check,
    async close() {
      clearInterval(timer);
      listeners.clear();
      await checking?.catch(() => {});
    },
  };
}
