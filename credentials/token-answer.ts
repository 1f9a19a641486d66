import type { JsonObject } from '../platform/json.ts';

/** A token of 100 KiB has been seen; one that is longer than this fits into no request. */
const tokenLengthMax = 128 * 1024;

/**
 * The token of a token server's answer (distribution token specification): `token`, or `access_token` as OAuth2 calls it.
 * Undefined where there is none, or none that could be sent.
 */
export function tokenIn(answer: JsonObject): string | undefined {
  const token = [answer['token'], answer['access_token']].find((value) => typeof value === 'string' && value !== '');
  // A line break in it would let whoever gave it write headers of its own into our requests.
  const isToken = typeof token === 'string' && token.length <= tokenLengthMax && /^[\x21-\x7e]+$/.test(token);
  return isToken ? token : undefined;
}
