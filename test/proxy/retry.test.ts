import { expect, test } from 'vitest';
import { ProxyError } from '../../platform/errors.ts';
import { Http1Error } from '../../platform/http1/errors.ts';
import { TargetForbiddenError } from '../../platform/transport.ts';
import { isLasting, isPassing, untilRetry } from '../../proxy/retry.ts';

test.each([
  [500, true],
  [502, true],
  [503, true],
  [504, true],
  [429, false],
  [501, false],
  [401, false],
  [200, false],
])('what was answered with %d is tried again: %s', (status, isTried) => {
  expect(isPassing(status)).toBe(isTried);
});

test.each<[what: string, error: Error, isTried: boolean]>([
  ['a reset connection', Object.assign(new Error(), { code: 'ECONNRESET' }), true],
  ['a closed connection', new Http1Error('UND_ERR_SOCKET', ''), true],
  ['a connection that is not made in time', new Http1Error('UND_ERR_CONNECT_TIMEOUT', ''), true],
  ['no answer in time', new Http1Error('UND_ERR_HEADERS_TIMEOUT', ''), false],
  ['headers without end', new Http1Error('UND_ERR_HEADERS_OVERFLOW', ''), false],
  ['a name that there is not', Object.assign(new Error(), { code: 'ENOTFOUND' }), false],
  ['a forbidden target', new TargetForbiddenError(''), false],
  ['a refusal of ours', new ProxyError('UPSTREAM_PROTOCOL', ''), false],
])('%s is tried again: %3$s', (_what, error, isTried) => {
  expect(isLasting(error)).toBe(!isTried);
});

test('a caller that goes away is not waited for', async () => {
  const reason = new Error('gone');
  await expect(untilRetry(1, () => 0, AbortSignal.abort(reason))).rejects.toMatchObject({ name: 'AbortError' });
});
