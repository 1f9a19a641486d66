import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '../platform/json.ts';
import { type SealingKey, sealingKeyBytes } from '../platform/sealing-keys.ts';

const DAY_MS = 24 * 60 * 60_000;

/** How often there is a new key. */
const renewMs = 7 * DAY_MS;
/** How long a key opens once it has a successor: what it sealed is good for a day. */
const keepMs = 7 * DAY_MS;
/** A new key seals once every process has had time to read it. */
const settleMs = 10 * 60_000;

/** A key and when it was made, in epoch milliseconds. */
export interface DatedKey extends SealingKey {
  readonly madeAt: number;
}

/** Oldest first; one at least. */
export type KeyRing = readonly [DatedKey, ...DatedKey[]];

const keyText = z
  .base64()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((key) => key.length === sealingKeyBytes);
const keyObject = z.object({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), key: keyText, madeAt: z.int() });
const ringObject = z.object({ keys: z.tuple([keyObject], keyObject) });

/** Reads what `serializeKeyRing` wrote; undefined for anything else. */
export function parseKeyRing(text: string): KeyRing | undefined {
  return ringObject.safeParse(parseJson(text)).data?.keys;
}

export function serializeKeyRing(ring: KeyRing): string {
  const keys = ring.map(({ id, key, madeAt }) => ({ id, key: key.toString('base64'), madeAt }));
  return `${JSON.stringify({ keys })}\n`;
}

/** The ring as it has to be at `now`: with a new key where one is due, without those that nothing needs any more. */
export function renewKeyRing(ring: KeyRing | undefined, now: number): KeyRing {
  const newest = ring?.at(-1);
  if (ring === undefined || newest === undefined) return [makeKey(now)];
  const kept = ring.filter((_, i) => now < (ring[i + 1]?.madeAt ?? now) + keepMs);
  if (now >= newest.madeAt + renewMs) kept.push(makeKey(now));
  const [oldest = newest, ...others] = kept;
  return [oldest, ...others];
}

/** The key that seals: the newest that everybody knows, or the oldest while nobody can know any. */
export function sealingKey(ring: KeyRing, now: number): DatedKey {
  return ring.findLast(({ madeAt }) => now >= madeAt + settleMs) ?? ring[0];
}

const makeKey = (now: number): DatedKey => ({
  id: randomBytes(6).toString('base64url'),
  key: randomBytes(sealingKeyBytes),
  madeAt: now,
});
