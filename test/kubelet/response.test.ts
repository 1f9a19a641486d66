import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, formatResponse } from '../../kubelet/response.ts';
import { group } from './requests.ts';

test.each([
  [0, '0s'],
  [-5_000, '0s'],
  [Number.NaN, '0s'],
  [999, '0s'],
  [59_999, '59s'],
  [60_000, '1m0s'],
  [3_540_000, '59m0s'],
  [3_600_000, '1h0m0s'],
  [86_400_000, '24h0m0s'],
  [100 * 3_600_000 + 61_000, '100h1m1s'],
  [Number.POSITIVE_INFINITY, '2500000h0m0s'],
])('%d ms are %s in Go', (ms, expected) => {
  expect(formatDuration(ms)).toBe(expected);
});

test('a duration read again is the same one', () => {
  const read = (text: string): number => {
    const [, hours = 0, minutes = 0, seconds = 0] = /^(?:(\d+)h)?(?:(\d+)m)?(\d+)s$/.exec(text) ?? [];
    return (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  };
  fc.assert(
    fc.property(fc.nat({ max: 9_000_000_000_000 }), (ms) => {
      expect(read(formatDuration(ms))).toBe(ms - (ms % 1000));
    }),
  );
});

test.each(['v1', 'v1beta1', 'v1alpha1'] as const)('a response is of the version of its request, %s', (version) => {
  const apiVersion = `credentialprovider.kubelet.k8s.io/${version}` as const;
  const auth = { 'a.io': { username: 'u', password: 'p' } };
  const text = formatResponse(apiVersion, { cacheKeyType: 'Registry', expiresAt: 10_000, auth }, 4_000);
  const kind = 'CredentialProviderResponse';
  expect(JSON.parse(text)).toEqual({ apiVersion, kind, cacheKeyType: 'Registry', cacheDuration: '6s', auth });
});

test('what may not be used again is kept for no time', () => {
  const answer = { cacheKeyType: 'Image', expiresAt: undefined, auth: {} } as const;
  expect(JSON.parse(formatResponse(`${group}/v1` as 'credentialprovider.kubelet.k8s.io/v1', answer, 5))).toMatchObject({
    cacheDuration: '0s',
  });
});
