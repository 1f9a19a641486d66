import { expect, test } from 'vitest';
import { ProxyError } from '../../platform/errors.ts';
import { HttpProxyError } from '../../platform/http1/errors.ts';
import { networkErrorCode, toProxyError } from '../../platform/network-error.ts';
import { TargetForbiddenError } from '../../platform/transport.ts';

const coded = (code: string, message = 'x') => Object.assign(new Error(message), { code });
const named = (name: string, more: object = {}) => Object.assign(new Error('x'), { name }, more);
const circle = new Error('x');
circle.cause = circle;

test.each<[what: string, error: unknown, code: string]>([
  ['an error', coded('ENOTFOUND'), 'ENOTFOUND'],
  ['a cause', new Error('x', { cause: coded('EPIPE') }), 'EPIPE'],
  ['several attempts', new AggregateError([coded('ECONNREFUSED'), coded('EPIPE')]), 'ECONNREFUSED'],
  ['a parser that names none', named('HTTPParserError'), 'HPE_INVALID_CONSTANT'],
  ['a circle', circle, 'UNKNOWN'],
  ['a text', 'ENOTFOUND', 'UNKNOWN'],
  ['null', null, 'UNKNOWN'],
  ['nothing', undefined, 'UNKNOWN'],
])('the code of %s is found', (_what, error, code) => {
  expect(networkErrorCode(error)).toBe(code);
});

test.each<[error: unknown, code: string, message: string]>([
  [coded('ENOTFOUND'), 'UPSTREAM_UNREACHABLE', 'h:1: its name cannot be resolved'],
  [coded('ECONNREFUSED'), 'UPSTREAM_UNREACHABLE', 'h:1: the connection was refused'],
  [coded('UND_ERR_HEADERS_TIMEOUT'), 'UPSTREAM_TIMEOUT', 'h:1: no answer came in time'],
  [new DOMException('x', 'TimeoutError'), 'UPSTREAM_TIMEOUT', 'h:1: no answer came in time'],
  [coded('HPE_CR_EXPECTED'), 'UPSTREAM_UNREACHABLE', 'h:1: the answer is not HTTP'],
  [coded('CERT_HAS_EXPIRED'), 'UPSTREAM_UNREACHABLE', 'h:1: its certificate has expired'],
  [new HttpProxyError(407), 'UPSTREAM_UNREACHABLE', 'h:1: the HTTP proxy answered 407'],
  [coded('ERR_REQUEST_BODY_TIMEOUT'), 'UPSTREAM_TIMEOUT', 'h:1: it stopped taking the body'],
  [coded('constructor'), 'UPSTREAM_UNREACHABLE', 'h:1: the request failed (constructor)'],
  ['s3cret', 'UPSTREAM_UNREACHABLE', 'h:1: the request failed (UNKNOWN)'],
  [new TargetForbiddenError('not there'), 'TARGET_FORBIDDEN', 'not there'],
])('%s is %s: %s', (error, code, message) => {
  expect(toProxyError(error, 'h:1')).toMatchObject({ name: 'ProxyError', code, message, cause: error });
});

test('what is an answer already, and who went away, stay as they are', () => {
  const answer = new ProxyError('INTERNAL', 'x');
  const abort = new DOMException('gone', 'AbortError');
  expect([answer, abort].map((error) => toProxyError(error, 'h'))).toEqual([answer, abort]);
});

test('what the parser could not read is not kept: it may repeat what we sent', () => {
  const error = named('HTTPParserError', { data: 'Authorization: s3cret' });
  expect((toProxyError(error, 'h').cause as { data?: string }).data).toBeUndefined();
});
