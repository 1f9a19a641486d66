import { z } from 'zod';
import { isProxyErrorCode, ProxyError } from '../errors.ts';

const refusal = z.object({
  code: z.string(),
  message: z.string(),
  headers: z.record(z.string(), z.string()).optional(),
  caller: z.string().optional(),
});

/** A refusal as it goes over the wire from the centre to its agents. */
export function formatRefusal({ code, message, headers, caller }: ProxyError): string {
  return JSON.stringify({ code, message, headers, caller });
}

/** The centre's refusal as the error that it was there; undefined for an answer that is none of its words. */
export function readRefusal(body: unknown): ProxyError | undefined {
  const parsed = refusal.safeParse(body);
  if (!parsed.success || !isProxyErrorCode(parsed.data.code)) return undefined;
  const { code, message, headers = {}, caller } = parsed.data;
  return new ProxyError(code, message, { headers, caller });
}

/** The centre, or what it needs, is not there: nothing was decided about the caller. */
const awayCodes: ReadonlySet<string> = new Set([
  'CENTRE_UNREACHABLE',
  'ACCESS_UNAVAILABLE',
  'AGENT_UNKNOWN',
  'INTERNAL',
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_LIMITED',
  'CALLER_LIMITED',
]);

/** Whether the centre could not decide: what it said before still counts. */
export const isAway = (error: unknown): boolean => !(error instanceof ProxyError) || awayCodes.has(error.code);
