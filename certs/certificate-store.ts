import type { KeyPair } from './authority.ts';
import type { TextStore } from './text-store.ts';

/** Where an authority and what clients trust are kept. */
export interface AuthorityStore {
  /** The authority with its keys. */
  readonly authority: TextStore;
  /** Makes the place usable. Called once, before everything else. */
  open(): Promise<void>;
  /** Writes what clients trust, PEM, where it has changed. */
  writeBundle(bundle: string): Promise<void>;
}

/** Where an authority, what clients trust, and the pair that is served are kept: a directory, or a Secret. */
export interface CertificateStore extends AuthorityStore {
  /** What error messages call the place of the served certificate: a path, or `tls.crt in Secret namespace/name`. */
  readonly location: string;
  /** The pair as it is stored, good or not; undefined where there is none, or half of one. */
  readPair(): Promise<KeyPair | undefined>;
  /** Replaces `previous` (as read) by `pair`; a store with compare-and-swap keeps what another process stored since. */
  writePair(pair: KeyPair, previous: KeyPair | undefined): Promise<void>;
}
