import { createSecureContext, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { canonicalHost } from '../platform/host-name.ts';
import { checkPeriodically } from '../platform/periodic-check.ts';
import {
  type Authority,
  bundle,
  type CertificateAuthority,
  CLOCK_SKEW_MS,
  issueServerCertificate,
  type KeyPair,
  serializeAuthority,
} from './authority.ts';
import { loadAuthority } from './authority-store.ts';
import type { AuthorityStore } from './certificate-store.ts';
import { defaultLifetimes, type Lifetimes, renewAt, signer } from './rotation.ts';
import { restoreText } from './text-store.ts';

const DAY_MS = 24 * 60 * 60_000;

/** A leaf is valid for a day, the skew before it included. */
const interceptionLifetimes: Lifetimes = { ...defaultLifetimes, leafLifeMs: DAY_MS - CLOCK_SKEW_MS };
/** How long a process may go on with an authority that another has rotated: both are trusted for a day. */
const defaultCheckMs = 60_000;

export interface InterceptionOptions {
  /** Shared by the processes that sign with the authority. */
  readonly store: AuthorityStore;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  readonly lifetimes?: Partial<Lifetimes>;
  /** How often to look whether the CA is due, or was rotated by another process; a minute when absent. */
  readonly checkEveryMs?: number;
  /** Certificates that are kept in memory, the latest used; 1,000 when absent. */
  readonly maxHosts?: number;
  /** Told why a check by the timer failed. The authority that is known goes on signing, and the next check tries again. */
  readonly onError: (error: unknown) => void;
}

/**
 * The authority that signs what clients in pods meet: certificates for single hosts, made when they are asked for. Their
 * keys are in memory only. Who may have one is the caller's to decide.
 */
export interface Interception {
  /** What clients have to trust, PEM: several CAs while one replaces another. */
  readonly caBundle: string;
  /**
   * The certificate for exactly this DNS name or IP address (IPv6 without brackets), for at most 24 hours. Rejects what
   * is no host name.
   */
  secureContextFor(host: string): Promise<SecureContext>;
  /** The same certificate with its key, PEM. */
  keyPairFor(host: string): Promise<KeyPair>;
  /** Calls `listener` after each change of `caBundle`. Returns a function that ends it. */
  onChange(listener: () => void): () => void;
  /** Rotates the CA where that is due, and takes over what another process has rotated. A timer calls it. */
  check(): Promise<void>;
  /** Stops the timer and waits for a check under way. */
  close(): Promise<void>;
}

interface Leaf {
  readonly pair: KeyPair;
  readonly context: SecureContext;
  /** The certificate of its CA. */
  readonly issuer: string;
  /** Epoch milliseconds. */
  readonly renewAt: number;
}

/**
 * Opens the `interception` authority: the stored one, or a new one. A store that loses it meanwhile gets it back.
 * Rejects where the stored authority cannot be read.
 */
export async function openInterception(options: InterceptionOptions): Promise<Interception> {
  const { store, now = Date.now, checkEveryMs = defaultCheckMs, maxHosts = 1_000, onError } = options;
  const lifetimes = { ...interceptionLifetimes, ...options.lifetimes };
  const listeners = new Set<() => void>();

  async function load(known?: Authority): Promise<Authority> {
    if (known !== undefined) await restoreText(store.authority, serializeAuthority(known));
    const loaded = await loadAuthority(store.authority, now(), { name: 'interception', ...lifetimes });
    await store.writeBundle(bundle(loaded));
    return loaded;
  }

  await store.open();
  let authority = await load();
  let caBundle = bundle(authority);
  const leaves = leafCache({
    maxHosts,
    now,
    leafLifeMs: lifetimes.leafLifeMs,
    signer: () => signer(authority, now(), lifetimes.overlapMs),
  });

  async function reload() {
    authority = await load(authority);
    const next = bundle(authority);
    if (next === caBundle) return;
    caBundle = next;
    for (const listener of listeners) listener();
  }

  const check = checkPeriodically(reload, { everyMs: checkEveryMs, onError });

  return {
    get caBundle() {
      return caBundle;
    },
    secureContextFor: async (host) => (await leaves(host)).context,
    keyPairFor: async (host) => (await leaves(host)).pair,
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

interface LeafCacheOptions {
  readonly maxHosts: number;
  readonly now: () => number;
  readonly leafLifeMs: number;
  /** The CA that signs now. */
  readonly signer: () => CertificateAuthority;
}

/** One leaf a host: callers that ask at once share its making. One of another CA than signs now is made anew. */
function leafCache({ maxHosts, now, leafLifeMs, signer }: LeafCacheOptions): (host: string) => Promise<Leaf> {
  const leaves = new LRUCache<string, Leaf>({ max: maxHosts });
  const flights = new Map<string, Promise<Leaf>>();

  async function issue(host: string, ca: CertificateAuthority): Promise<Leaf> {
    const at = now();
    const pair = await issueServerCertificate(ca, { names: [host], now: at, lifeMs: leafLifeMs });
    // Without the CA's certificate: it is a root, which a client has or does not trust.
    const context = createSecureContext({ ...pair, minVersion: 'TLSv1.2' });
    const notAfter = Math.min(at + leafLifeMs, ca.notAfter);
    const leaf = { pair, context, issuer: ca.cert, renewAt: renewAt({ notBefore: at - CLOCK_SKEW_MS, notAfter }) };
    leaves.set(host, leaf);
    return leaf;
  }

  return async (given) => {
    const host = canonicalHost(given);
    if (host === undefined) {
      throw new Error(`no certificate can be for ${JSON.stringify(given.slice(0, 100))}: it is no host name`);
    }
    const ca = signer();
    const known = leaves.get(host);
    if (known !== undefined && known.issuer === ca.cert && now() < known.renewAt) return known;
    const flight = flights.get(host) ?? issue(host, ca).finally(() => flights.delete(host));
    flights.set(host, flight);
    return flight;
  };
}
