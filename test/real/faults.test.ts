import { expect, test } from 'vitest';
import { classifyFailure } from './support/fault-outcome.ts';
import { FaultPlan } from './support/fault-plan.ts';
import { runFaults } from './support/fault-run.ts';
import { requireParts } from './support/parts.ts';

// The long run is `npm run faults`.
requireParts('registry', 'crane')('under faults', () => {
  test('what a client reports as pulled or pushed is whole, and what failed says why', {
    timeout: 120_000,
  }, async () => {
    const { succeeded, failed, unclassified, damaged, alarms, killed, replaced, usage } = await runFaults({
      operations: 40,
      seed: 'short',
      interruptions: 1,
    });
    expect({ unclassified, damaged, alarms, killed, replaced }).toEqual({
      unclassified: [],
      damaged: [],
      alarms: [],
      killed: 1,
      replaced: 1,
    });
    const done = Object.values(succeeded).reduce((sum, count) => sum + count, 0);
    const notDone = Object.values(failed).reduce((sum, count) => sum + count, 0);
    expect(done + notDone).toBe(48);
    expect(done).toBeGreaterThan(notDone);
    expect(usage.idle.descriptors).toBeLessThanOrEqual(usage.fresh.descriptors);
  });
});

test('a plan is the same for the same seed, and another one for another', () => {
  const draw = (seed: string) => {
    const plan = new FaultPlan({ seed, rate: 0.5, silences: 1 });
    plan.begin();
    return Array.from({ length: 200 }, (_, index) => plan.next('registry', index % 10, Math.floor(index / 10)));
  };
  expect(draw('a')).toEqual(draw('a'));
  expect(draw('a')).not.toEqual(draw('b'));
  expect(new Set(draw('a').map(({ kind }) => kind)).size).toBeGreaterThan(8);
});

const operation = {
  name: 'a',
  client: 'crane',
  action: 'pull',
  repository: 'team/app',
  from: 100,
  to: 200,
  damage: undefined,
} as const;

test.each([
  ['UNAVAILABLE: 127.0.0.1: the connection was reset; map[reason:UPSTREAM_UNREACHABLE]', 'UPSTREAM_UNREACHABLE'],
  ['{"errors":[{"code":"UNAVAILABLE","detail":{"reason":"UPSTREAM_TIMEOUT"}}]}', 'UPSTREAM_TIMEOUT'],
  ['UNKNOWN: an error that should not be; map[reason:INTERNAL]', undefined],
  ['BLOB_UPLOAD_UNKNOWN: the upload is none of ours; map[reason:UPLOAD_UNKNOWN]', undefined],
  ['HEAD: unexpected status code 502 Bad Gateway (HEAD responses have no body)', 'status 502'],
  ['GET: unexpected status code 404 Not Found', undefined],
  ['UNAVAILABLE: by the fault injector', "the registry's own words"],
  ['dial tcp: connect: connection refused', undefined],
  ['read: connection reset by peer', undefined],
  ['error verifying sha256 checksum after reading 7 bytes', undefined],
])('a failure is clear or not: %s', (failure, expected) => {
  expect(classifyFailure({ ...operation, failure }, { interruptions: [], logged: [] })).toBe(expected);
});

test.each([
  ['connection refused', 'killed', [], 'refused while it was away'],
  ['connection refused', 'drained', [], 'refused while it was away'],
  ['unexpected EOF', 'killed', [], 'cut off by the kill'],
  ['unexpected EOF', 'drained', [], undefined],
  ['unexpected EOF', 'drained', ['team/app'], 'broken off, as the registry had it'],
  ['unexpected EOF', 'drained', ['team/other'], undefined],
] as const)(
  'a connection that ends with %s while the product is %s, with %j in its log',
  (failure, kind, broken, expected) => {
    const logged = broken.map((repository) => ({ msg: 'request failed', error: 'BROKEN', repository }));
    const interruptions = [{ kind, from: 150, to: 160 }];
    expect(classifyFailure({ ...operation, failure }, { interruptions, logged })).toBe(expected);
    const earlier = [{ kind, from: 0, to: 50 }];
    const isExplained = broken.length > 0 && expected !== undefined;
    expect(classifyFailure({ ...operation, failure }, { interruptions: earlier, logged })).toBe(
      isExplained ? expected : undefined,
    );
  },
);

test.each([
  ['before what a killed process wrote last', 205, undefined],
  ['after it', 195, 'broken off, and the kill took the line with it'],
])('a connection that ends right before a kill, %s', (_, loggedUntil, expected) => {
  const interruptions = [{ kind: 'killed', from: 210, to: 220, loggedUntil }] as const;
  expect(classifyFailure({ ...operation, failure: 'unexpected EOF' }, { interruptions, logged: [] })).toBe(expected);
});
