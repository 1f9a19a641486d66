import {
  type Authority,
  type CertificateAuthority,
  CLOCK_SKEW_MS,
  createCertificateAuthority,
  type Validity,
} from './authority.ts';

const DAY_MS = 24 * 60 * 60_000;

export interface Lifetimes {
  /** How long a CA is valid. */
  readonly caLifeMs: number;
  /** How long a certificate that it issues is valid. */
  readonly leafLifeMs: number;
  /** How long a new CA is only trusted before it signs, so that every client has heard of it: hours at least. */
  readonly overlapMs: number;
}

export const defaultLifetimes: Lifetimes = { caLifeMs: 3650 * DAY_MS, leafLifeMs: 90 * DAY_MS, overlapMs: DAY_MS };

/** When a certificate is replaced: at two thirds of its life. */
export function renewAt(certificate: Validity): number {
  const issued = issuedAt(certificate);
  return issued + ((certificate.notAfter - issued) * 2) / 3;
}

/**
 * The authority as it has to be at `now`. A CA past two thirds of its life gets a successor, and one that has expired,
 * or whose last certificate has, is dropped. The same `authority` comes back where nothing is due.
 */
export async function rotate(
  authority: Authority,
  now: number,
  options: Lifetimes & { readonly name: string },
): Promise<Authority> {
  const trusted = authority.filter((ca, i) => now < trustedUntil(ca, authority[i + 1], options));
  const newest = trusted.at(-1);
  if (newest === undefined || now >= renewAt(newest)) {
    trusted.push(await createCertificateAuthority({ name: options.name, now, lifeMs: options.caLifeMs }));
  } else if (trusted.length === authority.length) {
    return authority;
  }
  return trusted;
}

/** The CA that signs at `now`: the newest whose time has come. Throws where all have expired: `rotate` first. */
export function signer(authority: Authority, now: number, overlapMs: number): CertificateAuthority {
  const ca = authority.findLast((ca, i) => now < ca.notAfter && now >= signsFrom(ca, authority[i - 1], overlapMs));
  if (ca === undefined) throw new Error('every CA of the authority has expired');
  return ca;
}

/** A CA signs once clients have had the overlap to learn of it; without a predecessor there is nothing to wait for. */
function signsFrom(ca: Validity, predecessor: Validity | undefined, overlapMs: number): number {
  if (predecessor === undefined) return Number.NEGATIVE_INFINITY;
  const issued = issuedAt(ca);
  // After a long stop the predecessor may not live through the overlap: then half of what it has left.
  return issued + Math.min(overlapMs, (predecessor.notAfter - issued) / 2);
}

/** A CA is trusted until its last certificate has expired; it issues none once its successor signs. */
function trustedUntil(ca: Validity, successor: Validity | undefined, { overlapMs, leafLifeMs }: Lifetimes): number {
  if (successor === undefined) return ca.notAfter;
  return Math.min(ca.notAfter, signsFrom(successor, ca, overlapMs) + leafLifeMs);
}

function issuedAt(certificate: Validity): number {
  return certificate.notBefore + CLOCK_SKEW_MS;
}
