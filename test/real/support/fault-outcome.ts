import { isProxyErrorCode, type ProxyErrorCode } from '../../../platform/errors.ts';
import type { OperationResult } from './fault-operations.ts';
import type { Interruption, LoggedLine } from './fault-product.ts';

/** What may explain why a connection broke. */
export interface FaultEvidence {
  readonly interruptions: readonly Interruption[];
  readonly logged: readonly LoggedLine[];
}

const reason = /"?reason"?:"?(?<code>[A-Z_]+)/;
const status = /unexpected status code (?<status>\d{3})/;
const ownWords = /by the fault injector/;
/** What a registry says to who repeats a step of an upload whose answer was lost. */
const goneOn = /BLOB_UPLOAD_UNKNOWN|RANGE_INVALID/;
/** What may become of a registry that goes wrong; others would say that something of ours did. */
const codes: ReadonlySet<ProxyErrorCode> = new Set([
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_LIMITED',
  'UPSTREAM_PROTOCOL',
  'GRANT_LAPSED',
]);
const refused = /connection refused|ECONNREFUSED/;
const broken = /connection reset by peer|ECONNRESET|\bEOF\b|broken pipe|EPIPE|socket hang up/;
/** Statuses that the injector answers with, or the product where a HEAD leaves no room for its code. */
const statuses: ReadonlySet<string> = new Set(['429', '500', '502', '503', '504']);

/** Why an operation failed, in a word; undefined where what the client was told is no clear error. */
export function classifyFailure(result: OperationResult, evidence: FaultEvidence): string | undefined {
  const text = result.failure ?? '';
  const code = reason.exec(text)?.groups?.['code'];
  if (code !== undefined) return isProxyErrorCode(code) && codes.has(code) ? code : undefined;
  const answered = status.exec(text)?.groups?.['status'];
  if (ownWords.test(text)) return "the registry's own words";
  if (result.action === 'push' && goneOn.test(text)) return 'the upload had gone on, as the registry says';
  if (answered !== undefined) return statuses.has(answered) ? `status ${answered}` : undefined;
  return classifyBreak(text, result, evidence);
}

/** A drained process breaks nothing off: whoever meets it is refused by the closed port, or served to the end. */
function classifyBreak(text: string, { from, to, repository }: OperationResult, evidence: FaultEvidence) {
  const met = evidence.interruptions.filter((each) => each.from <= to && each.to >= from).map((each) => each.kind);
  if (refused.test(text)) return met.length > 0 ? 'refused while it was away' : undefined;
  if (!broken.test(text)) return undefined;
  if (met.includes('killed')) return 'cut off by the kill';
  if (evidence.interruptions.some((each) => each.from >= to && (each.loggedUntil ?? each.from) <= to)) {
    return 'broken off, and the kill took the line with it';
  }
  const isTold = evidence.logged.some((line) => line.error === 'BROKEN' && line.repository === repository);
  return isTold ? 'broken off, as the registry had it' : undefined;
}
