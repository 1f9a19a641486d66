import { randomBytes } from 'node:crypto';

/** A key for AES-256-GCM, with a name of its own. */
export interface SealingKey {
  /** Letters, digits, `-` and `_`. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** Keys that the processes of one service share, so that any of them opens what another one sealed. */
export interface SealingKeys {
  /** Seals from now on. */
  readonly current: SealingKey;
  /** Opens what was sealed earlier, or by another process. */
  find(id: string): SealingKey | undefined;
  /** Looks whether another process has made a key meanwhile; often called, it looks seldom. */
  refresh?(): Promise<void>;
}

export const sealingKeyBytes = 32;

/** A key that is gone with the process. */
export function ephemeralSealingKeys(): SealingKeys {
  const current = { id: randomBytes(6).toString('base64url'), key: randomBytes(sealingKeyBytes) };
  return { current, find: (id) => (id === current.id ? current : undefined) };
}
