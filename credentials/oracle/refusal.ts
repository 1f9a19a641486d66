import { parseJsonObject } from '../../platform/json.ts';
import { retryAfterMs } from '../../platform/retry-after.ts';
import { OracleError, type OracleErrorCode, type OracleStep } from './errors.ts';
import type { Reply } from './send.ts';

/** Services refuse a signature whose date is further from theirs than this. */
const skewMaxMs = 5 * 60_000;

export interface RefusalOptions {
  readonly step: OracleStep;
  /** Who refused, as messages name it. */
  readonly whom: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What to do about a status; it stands behind what was answered. */
  readonly advice?: Readonly<Record<number, string>>;
  /** Code of a 404, which some services say for «denied» too. */
  readonly notFound?: OracleErrorCode;
}

/**
 * The error of an answer that is no success. It names the status and the service's own error code, and nothing else
 * that the service said: a text could repeat what we sent.
 */
export function refusal(reply: Reply, { step, whom, now, advice = {}, notFound }: RefusalOptions): OracleError {
  const { status } = reply;
  const skew = status === 401 ? clockSkew(reply, now()) : undefined;
  const name = serviceCode(reply.text);
  const said = `${whom} answered ${status}${name === undefined ? '' : ` ${name}`}`;
  const parts = [said, skew ?? advice[status]].filter((part) => part !== undefined);
  const code = status === 404 && notFound !== undefined ? notFound : codeOf(status);
  const options = { retryAfterMs: retryAfterMs(reply.headers['retry-after'], now()), isAnswered: true };
  return new OracleError(step, code, parts.join(': '), options);
}

function codeOf(status: number): OracleErrorCode {
  if (status === 429) return 'Limited';
  // 409: somebody is changing it at this moment.
  if (status >= 500 || status === 409) return 'Unavailable';
  return status === 401 || status === 403 || status === 404 ? 'Denied' : 'Protocol';
}

/** `NotAuthenticated`, `TooManyRequests`, …: letters only, so that it can hold nothing of ours. */
function serviceCode(text: string): string | undefined {
  const { code } = parseJsonObject(text) ?? {};
  return typeof code === 'string' && /^[A-Za-z]{1,40}$/.test(code) ? code : undefined;
}

function clockSkew(reply: Reply, now: number): string | undefined {
  const date = reply.headers.date;
  const theirs = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  const skewMs = now - theirs;
  if (Number.isNaN(skewMs) || Math.abs(skewMs) <= skewMaxMs) return undefined;
  const minutes = Math.round(Math.abs(skewMs) / 60_000);
  return `the clock of this machine is ${minutes} minutes ${skewMs > 0 ? 'ahead' : 'behind'}, and signatures hold for five; set it right`;
}
