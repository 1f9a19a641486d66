import { describe, expect, onTestFinished, test } from 'vitest';
import type { Connector } from '../../connectors/schema.ts';
import { ConnectorProber, type ProbeSubject } from '../../controller/connector-prober.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import { connectorOf, secretOf, withSecret } from '../connectors/documents.ts';
import { connectorFor, robot, robotSecret } from '../credentials/fixtures.ts';
import { hanging, status, tooManyRequests } from '../support/faults.ts';
import { startRegistry } from '../support/registry.ts';

const intervalMs = 300_000;
const wrongSecret = secretOf('robot', { ...robot, password: 'wrong' });

function subjectOf(address: string, secret = robotSecret, more: Partial<Connector['spec']> = {}): ProbeSubject {
  const connector = connectorOf({ address, ...withSecret('robot'), ...more });
  return { connector, resolved: connectorFor(address, secret, more) };
}

/** A prober whose clock stands still, a registry, and connectors that can be exchanged. */
async function start(options: { timeoutMs?: number; registries?: number; freshMs?: number } = {}) {
  const registries = await Promise.all(
    Array.from({ length: options.registries ?? 1 }, () => startRegistry({ auth: { kind: 'token', ...robot } })),
  );
  const clock = { at: 1_000_000 };
  const subjects = new Map<string, ProbeSubject>();
  const reports: string[] = [];
  const waiting = new Map<string, () => void>();
  const transports = new RegistryTransports();
  const prober = new ConnectorProber({
    transports,
    sources: { oracle: undefined },
    subject: (key) => subjects.get(key),
    onVerdicts: (key) => {
      waiting.get(key)?.();
    },
    onProbe: ({ connector, probe, result }) => void reports.push(`${connector} ${probe} ${result}`),
    onError: (error) => {
      throw error;
    },
    intervalMs,
    timeoutMs: options.timeoutMs ?? 5_000,
    freshMs: options.freshMs ?? 0,
    lanes: { concurrency: 2, perLane: 1 },
    now: () => clock.at,
    random: () => 0.5,
  });
  onTestFinished(async () => {
    prober[Symbol.dispose]();
    await transports.close();
    await Promise.all(registries.map((registry) => registry.close()));
  });
  const verdictsOf = (key: string) => {
    const verdicts = prober.verdicts(key, subjects.get(key)?.resolved.revision ?? '');
    return verdicts && [verdicts.liveness.reason, verdicts.authentication?.reason];
  };
  const verdict = (key: string) => new Promise<void>((resolve) => waiting.set(key, resolve));
  const observe = (key: string, subject: ProbeSubject, isKnown = false) => {
    subjects.set(key, subject);
    prober.observe(key, subject, isKnown);
  };
  const settled = async (key: string) => {
    while (prober.isRunning(key)) await new Promise(setImmediate);
  };
  const registry = registries[0];
  if (registry === undefined) throw new Error('no registry');
  return { prober, clock, subjects, reports, registry, registries, verdictsOf, verdict, observe, settled };
}

describe('a connector is probed', () => {
  test('when it appears, and again when it changes', async () => {
    const { registry, verdictsOf, verdict, observe } = await start();
    observe('demo/a', subjectOf(registry.origin));
    expect(verdictsOf('demo/a')).toBeUndefined();
    await verdict('demo/a');
    expect(verdictsOf('demo/a')).toEqual(['RegistryAlive', 'CredentialAccepted']);
    observe('demo/a', subjectOf(registry.origin, wrongSecret));
    expect(verdictsOf('demo/a')).toBeUndefined();
    await verdict('demo/a');
    expect(verdictsOf('demo/a')).toEqual(['RegistryAlive', 'CredentialRefused']);
  });

  test('anew when it changes while it is probed', async () => {
    const { registry, verdictsOf, verdict, observe } = await start();
    const held = Promise.withResolvers<void>();
    registry.faults.add({
      match: { path: '/v2/' },
      times: 1,
      fault: { name: 'held', inflict: (answer) => held.promise.then(answer) },
    });
    observe('demo/a', subjectOf(registry.origin, wrongSecret));
    await registry.arrival(() => true);
    observe('demo/a', subjectOf(registry.origin));
    held.resolve();
    await verdict('demo/a');
    expect(verdictsOf('demo/a')).toEqual(['RegistryAlive', 'CredentialAccepted']);
  });

  test('in its own time', async () => {
    const { prober, clock, registry, verdict, observe, settled } = await start();
    observe('demo/a', subjectOf(registry.origin));
    await verdict('demo/a');
    clock.at += intervalMs - 1;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(false);
    clock.at += 1;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(true);
    await settled('demo/a');
    expect(registry.requests.filter(({ url, headers }) => url === '/v2/' && !headers.authorization)).toHaveLength(2);
  });

  test('within the interval, where its status tells of a probe already', async () => {
    const { prober, clock, registry, observe } = await start();
    observe('demo/a', subjectOf(registry.origin), true);
    expect(prober.isRunning('demo/a')).toBe(false);
    clock.at += intervalMs / 2;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(true);
  });

  test('sooner after a failure, and rarely after a refusal', async () => {
    const { prober, clock, registry, verdict, observe, settled } = await start();
    registry.faults.add({ match: { path: '/v2/' }, times: 1, fault: status(503) });
    observe('demo/a', subjectOf(registry.origin, wrongSecret));
    await verdict('demo/a');
    clock.at += 5_000;
    prober.tick();
    await settled('demo/a');
    expect(registry.tokenRequests).toHaveLength(1);
    clock.at += intervalMs - 1;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(false);
    clock.at += 1;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(true);
  });

  test('not before the registry wants it', async () => {
    const { prober, clock, registry, verdict, observe } = await start();
    registry.faults.add({ match: { path: '/v2/' }, times: 1, fault: tooManyRequests(60) });
    observe('demo/a', subjectOf(registry.origin));
    await verdict('demo/a');
    clock.at += 59_999;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(false);
    clock.at += 1;
    prober.tick();
    expect(prober.isRunning('demo/a')).toBe(true);
  });

  test('as far as it can be: without its Secret only for liveness, without an address not at all', async () => {
    const { registry, verdictsOf, verdict, observe, prober } = await start();
    observe('demo/a', subjectOf(registry.origin, robotSecret, withSecret('none')));
    await verdict('demo/a');
    expect(verdictsOf('demo/a')).toEqual(['RegistryAlive', undefined]);
    expect(registry.tokenRequests).toEqual([]);
    observe('demo/b', subjectOf('ftp://nowhere'));
    expect(prober.isRunning('demo/b')).toBe(false);
  });
});

describe('a verdict', () => {
  test('does not change for one failure of a registry that was well', async () => {
    const { prober, clock, registry, verdictsOf, verdict, observe, settled } = await start();
    observe('demo/a', subjectOf(registry.origin));
    await verdict('demo/a');
    registry.faults.add({ match: { path: '/v2/' }, fault: status(500) });
    clock.at += intervalMs;
    prober.tick();
    await settled('demo/a');
    expect(verdictsOf('demo/a')).toEqual(['RegistryAlive', 'CredentialAccepted']);
    clock.at += 5_000;
    prober.tick();
    await verdict('demo/a');
    expect(verdictsOf('demo/a')).toEqual(['ServerError', undefined]);
  });

  test('does not change for other words', async () => {
    const { prober, clock, subjects, registry, verdict, observe, settled } = await start();
    const saying = (words: string) => status(503, { body: JSON.stringify({ errors: [{ message: words }] }) });
    registry.faults.add({ match: { path: '/v2/' }, times: 1, fault: saying('request 1') });
    registry.faults.add({ match: { path: '/v2/' }, fault: saying('request 2') });
    observe('demo/a', subjectOf(registry.origin));
    await verdict('demo/a');
    clock.at += intervalMs;
    prober.tick();
    await settled('demo/a');
    const revision = subjects.get('demo/a')?.resolved.revision ?? '';
    expect(prober.verdicts('demo/a', revision)?.liveness.message).toContain('request 1');
    expect(registry.requests).toHaveLength(2);
  });

  test('is gone with its connector', async () => {
    const { prober, registry, verdictsOf, verdict, observe } = await start();
    observe('demo/a', subjectOf(registry.origin));
    await verdict('demo/a');
    prober.forget('demo/a');
    expect(verdictsOf('demo/a')).toBeUndefined();
  });
});

describe('many connectors', () => {
  test('to one registry ask it once whether it is there', async () => {
    const { registry, reports, verdict, observe } = await start({ freshMs: 1_000 });
    const keys = Array.from({ length: 20 }, (_, at) => `demo/c-${at}`);
    const verdicts = keys.map(verdict);
    for (const key of keys) observe(key, subjectOf(registry.origin));
    await Promise.all(verdicts);
    expect(registry.requests.filter(({ headers }) => headers.authorization === undefined)).toHaveLength(1);
    expect(reports.filter((line) => line.endsWith('liveness ok'))).toHaveLength(20);
  });

  test('to a dead registry do not keep others from being probed', async () => {
    const { registries, verdict, observe, prober, verdictsOf } = await start({ registries: 2, timeoutMs: 60_000 });
    const [dead, alive] = registries;
    dead?.faults.add({ fault: hanging });
    for (let at = 0; at < 50; at += 1) observe(`demo/dead-${at}`, subjectOf(dead?.origin ?? ''));
    const verdicts = Array.from({ length: 10 }, (_, at) => verdict(`demo/alive-${at}`));
    for (let at = 0; at < 10; at += 1) observe(`demo/alive-${at}`, subjectOf(alive?.origin ?? ''));
    await Promise.all(verdicts);
    expect(verdictsOf('demo/alive-9')).toEqual(['RegistryAlive', 'CredentialAccepted']);
    expect(prober.isRunning('demo/dead-0')).toBe(true);
  });
});

test('a prober that is closed says nothing more', async () => {
  const { prober, registry, verdictsOf, observe } = await start();
  registry.faults.add({ fault: hanging });
  observe('demo/a', subjectOf(registry.origin));
  const { ended } = await registry.arrival(() => true);
  prober[Symbol.dispose]();
  await expect(ended).resolves.toBe('broken');
  expect(verdictsOf('demo/a')).toBeUndefined();
});
