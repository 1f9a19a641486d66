import { expect, test } from 'vitest';
import { isTransient, nextProbeDelayMs } from '../../controller/probe-schedule.ts';

const intervalMs = 300_000;
const middle = () => 0.5;

test.each<[what: string, failures: number, retryAfterMs: number | undefined, delayMs: number]>([
  ['the interval after a success or a refusal', 0, undefined, 300_000],
  ['soon after a first failure', 1, undefined, 5_000],
  ['later after each further one', 3, undefined, 20_000],
  ['never later than the interval', 30, undefined, 300_000],
  ['when the registry wants to be asked again', 1, 60_000, 60_000],
  ['within the hour, whatever the registry wants', 1, 900_000_000, 3_600_000],
])('a connector is probed %s', (_what, failures, retryAfterMs, delayMs) => {
  const failure = retryAfterMs === undefined ? {} : { retryAfterMs };
  expect(nextProbeDelayMs({ failures, intervalMs, failure, random: middle })).toBeCloseTo(delayMs, 3);
});

test('connectors drift apart by a tenth of the interval', () => {
  const delays = [0, 1].map((chance) =>
    nextProbeDelayMs({ failures: 0, intervalMs, failure: undefined, random: () => chance }),
  );
  expect(delays.map(Math.round)).toEqual([270_000, 330_000]);
});

test.each([
  ['Timeout', true],
  ['RateLimited', true],
  ['CredentialRefused', false],
  ['RepositoryDenied', false],
  ['TLSInvalid', false],
  [undefined, false],
])('%s may be over in a moment: %s', (reason, expected) => {
  expect(isTransient(reason)).toBe(expected);
});
