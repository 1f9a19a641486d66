import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { asCsiError, CsiError, isRefusal, StillMounted } from '../../csi/errors.ts';
import { ProxyError, type ProxyErrorCode } from '../../platform/errors.ts';

test.each<[ProxyErrorCode, keyof typeof status, boolean]>([
  ['CALLER_UNKNOWN', 'UNAUTHENTICATED', true],
  ['TOKEN_REQUIRED', 'UNAUTHENTICATED', true],
  ['ACCESS_DENIED', 'PERMISSION_DENIED', true],
  ['CONNECTOR_UNKNOWN', 'NOT_FOUND', true],
  ['CONFIGURATION_UNKNOWN', 'NOT_FOUND', true],
  ['CONNECTOR_UNUSABLE', 'FAILED_PRECONDITION', true],
  ['CONNECTOR_NOT_READY', 'FAILED_PRECONDITION', true],
  ['CONFIGURATION_INVALID', 'FAILED_PRECONDITION', true],
  ['CONFIGURATION_TOO_LARGE', 'RESOURCE_EXHAUSTED', true],
  ['REQUEST_INVALID', 'INVALID_ARGUMENT', true],
  ['CALLER_LIMITED', 'RESOURCE_EXHAUSTED', false],
  ['CENTRE_UNREACHABLE', 'UNAVAILABLE', false],
  ['ACCESS_UNAVAILABLE', 'UNAVAILABLE', false],
  ['AGENT_UNKNOWN', 'UNAVAILABLE', false],
  ['UPSTREAM_TIMEOUT', 'UNAVAILABLE', false],
  ['INTERNAL', 'INTERNAL', false],
])('%s is %s to the kubelet', (code, name, refuses) => {
  const error = new ProxyError(code, 'what to do');
  expect(asCsiError(error)).toMatchObject({ code: status[name], message: 'what to do' });
  expect(isRefusal(error)).toBe(refuses);
});

test.each<[keyof typeof status, keyof typeof status, string]>([
  ['PERMISSION_DENIED', 'ABORTED', 'PERMISSION_DENIED: what to do; the volume stays mounted as it is'],
  ['INTERNAL', 'ABORTED', 'INTERNAL: what to do; the volume stays mounted as it is'],
  ['CANCELLED', 'CANCELLED', 'what to do'],
  ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'what to do'],
  ['RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED', 'what to do'],
  ['ABORTED', 'ABORTED', 'what to do'],
  ['UNAVAILABLE', 'UNAVAILABLE', 'what to do'],
])('%s of a volume that is mounted is %s, after which the kubelet comes again', (reason, name, message) => {
  const error = new StillMounted(new CsiError(status[reason], 'what to do'));
  expect(asCsiError(error)).toMatchObject({ code: status[name], message, reason: { code: status[reason] } });
});

test('what nobody foresaw tells the kubelet nothing of itself', () => {
  const error = asCsiError(new TypeError('the token is canary'));
  expect(error.code).toBe(status.INTERNAL);
  expect(error.message).not.toContain('canary');
  expect(asCsiError(error)).toBe(error);
  expect(error).toBeInstanceOf(CsiError);
});

test('a message is never longer than a header of gRPC carries, nor made of what it does not', () => {
  const { message } = asCsiError(new ProxyError('CONFIGURATION_INVALID', `a${'\n'}ä${'x'.repeat(300_000)}`));
  expect(message).toMatch(/^a\?\?x+$/);
  expect(message).toHaveLength(1_024);
});
