import { describe, expect, onTestFinished, test } from 'vitest';
import { observeProxy } from '../../cli/observe.ts';
import { createLogger } from '../../platform/logger.ts';
import { createMetrics } from '../../platform/metrics.ts';
import { type CallOptions, call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { makeImage, makeIndex } from '../support/image.ts';
import { startProxy } from '../support/proxy.ts';
import { startStorage } from '../support/storage.ts';
import {
  asked,
  basicOnly,
  login,
  narrow,
  opaque,
  openAgent,
  openBoth,
  openCentre,
  openScene,
  relayed,
  type SceneOptions,
  serving,
  wide,
} from './support/agent-scene.ts';
import { findSecrets } from './support/canary.ts';
import { startTap } from './support/centre.ts';

const registryTokens = (authorization: string | undefined) => authorization?.replace(/^Bearer /, '') ?? '';

describe('a registry with narrow tokens', () => {
  test('is pulled from by the agent itself, with a token for that repository alone', async () => {
    const { centre, registry, image, pull } = await openBoth();
    expect(await pull('team/app/manifests/v1')).toMatchObject({ status: 200 });
    const blob = await pull(`team/app/blobs/${image.layers[0]}`);
    expect(digestOf(blob.body)).toBe(image.layers[0]);
    expect(relayed(centre.requests)).toEqual([]);
    expect(asked(centre.requests)).toHaveLength(1);
    expect(registry.tokenRequests.map(({ query }) => query.getAll('scope'))).toEqual([['repository:team/app:pull']]);
    const used = registry.requests.filter(({ url }) => url.includes('/team/app/'));
    expect(used.every(({ headers }) => registryTokens(headers.authorization).split('.').length === 3)).toBe(true);
  });

  test('hands its redirects to the client, or has them followed, as the connector says', async () => {
    for (const redirect of ['handover', 'follow'] as const) {
      const storage = await startStorage();
      onTestFinished(() => storage.close());
      const { image, pull } = await openBoth({ registry: { redirectBlobs: storage.publish }, connector: { redirect } });
      const answer = await pull(`team/app/blobs/${image.layers[0]}`);
      expect(answer.status).toBe(redirect === 'follow' ? 200 : 307);
      if (redirect === 'follow') expect(digestOf(answer.body)).toBe(image.layers[0]);
      else expect(answer.headers.location).toContain(storage.origin);
    }
  });

  test('that is open needs no token of anybody’s', async () => {
    const { centre, pull } = await openBoth({ auth: { kind: 'none' } });
    expect(await pull('team/app/manifests/v1')).toMatchObject({ status: 200 });
    expect(relayed(centre.requests)).toEqual([]);
  });
});

const kept: [string, SceneOptions][] = [
  ['Basic alone', { auth: basicOnly }],
  ['opaque tokens', { auth: opaque }],
  ['tokens for more than was asked', { auth: wide }],
  ['tokens that live for an hour', { auth: { ...narrow, expiresInSeconds: 3_600 } }],
  ['tokens that hold the password', { auth: { ...narrow, makeToken: tokenWithPassword } }],
];

function tokenWithPassword({ access, expiresAt }: { access: readonly object[]; expiresAt: number }): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { access, exp: Math.floor(expiresAt / 1000), debug: Buffer.from(login.password).toString('base64') };
  return `${encode({ alg: 'RS256' })}.${encode(claims)}.c2lnbmF0dXJl`;
}

/** Of one connection, or of one moment. */
const passing = new Set(['date', 'connection', 'keep-alive']);
const comparable = ({ status, headers, body, failure }: Awaited<ReturnType<typeof call>>) => ({
  status,
  failure,
  body: body.toString('latin1'),
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !passing.has(name))),
});

describe.each(kept)('a registry with %s', (_what, options) => {
  test('answers through the centre, byte for byte as through the central proxy', async () => {
    const storage = await startStorage();
    const scene = await openBoth(options);
    const { registry, image, centre, agent, token } = scene;
    const central = await startProxy({ documents: scene.documents, now: scene.clock.now });
    onTestFinished(async () => {
      await central.close();
      await storage.close();
    });
    registry.seed('team/app', makeIndex([makeImage({ seed: 'other' })]), ['v2', 'v3', 'v4']);
    const big = await registry.seedSyntheticBlob('team/app', 3_000_000);
    const moved = await registry.seedSyntheticBlob('team/app', 10, 'moved');
    registry.faults.add({
      match: { path: new RegExp(moved), isAuthorized: true },
      fault: faults.redirectedTo(`${storage.origin}/bucket/x?X-Amz-Signature=y`),
    });
    const broken = digestOf('broken');
    registry.faults.add({
      match: { path: new RegExp(broken), isAuthorized: true },
      fault: faults.status(429, { headers: { 'retry-after': '7', 'ratelimit-remaining': '0' } }),
    });
    const layer = image.layers[0] ?? '';
    const requests: [string, CallOptions][] = [
      ['team/app/manifests/v1', {}],
      ['team/app/manifests/v1', { method: 'HEAD' }],
      [`team/app/manifests/${image.digest}`, { headers: { 'if-none-match': `"${image.digest}"` } }],
      ['team/app/manifests/none', {}],
      ['team/app/manifests/none', { method: 'HEAD' }],
      [`team/app/blobs/${layer}`, {}],
      [`team/app/blobs/${layer}`, { method: 'HEAD' }],
      [`team/app/blobs/${layer}`, { headers: { range: 'bytes=1-9' } }],
      [`team/app/blobs/${layer}`, { headers: { range: 'bytes=999999999-' } }],
      [`team/app/blobs/${big}`, {}],
      [`team/app/blobs/${moved}`, {}],
      [`team/app/blobs/${broken}`, {}],
      ['team/app/tags/list?n=2', {}],
      [`team/app/referrers/${image.digest}`, {}],
      ['team/none/tags/list', {}],
    ];
    const statuses = new Set<number | undefined>();
    for (const [tail, more] of requests) {
      const headers = { authorization: `Bearer ${token}`, ...more.headers };
      const through = await call(agent.url(tail), { ...more, headers });
      expect(comparable(through), `${more.method ?? 'GET'} ${tail}`).toEqual(
        comparable(await call(central.url(tail), { ...more, headers })),
      );
      statuses.add(through.status);
    }
    expect([...statuses].sort()).toEqual(expect.arrayContaining([200, 206, 307, 404, 416, 429]));
    expect(relayed(centre.requests)).toHaveLength(requests.length);
    expect(centre.errors).toEqual([]);
  });
});

test('a registry that fails is asked as often through an agent as through the central proxy', async () => {
  for (const auth of [basicOnly, narrow]) {
    const { registry, image, pull } = await openBoth({ auth });
    await pull('team/app/manifests/v1');
    const path = new RegExp(image.layers[0] ?? '');
    registry.faults.add({ match: { path, isAuthorized: true }, fault: faults.status(503) });
    const before = registry.requests.length;
    expect(await pull(`team/app/blobs/${image.layers[0]}`)).toMatchObject({ status: 503 });
    expect(registry.requests.length - before).toBe(2);
  }
});

test.each([...kept, ['narrow tokens', { auth: narrow }] as (typeof kept)[number]])(
  'of a registry with %s, nothing that an agent holds, says or hears has the credential in it',
  async (_what, options) => {
    const scene = await openScene(options);
    const { registry, image, token } = scene;
    const centre = await openCentre(scene);
    const tap = await startTap(await serving, centre.port);
    onTestFinished(() => tap.close());
    const logs: string[] = [];
    const log = createLogger({ level: 'trace', isPretty: false }, { write: (line: string) => void logs.push(line) });
    const metrics = createMetrics();
    const agent = await openAgent(scene, tap.port, { observer: observeProxy(log, metrics) });
    const said: Buffer[] = [];
    // Who gets a token for a repository only cannot be told more.
    const told = options.auth === narrow ? 'nothing' : login.password;
    const echo = faults.status(418, { body: `you sent ${told}`, headers: { 'x-debug': told } });
    for (const [tail, fault] of [
      ['manifests/v1', undefined],
      [`blobs/${image.layers[0]}`, undefined],
      ['manifests/none', undefined],
      [`blobs/${image.layers[1]}`, echo],
      ['tags/list', faults.status(500, { body: told })],
      [`blobs/${image.config}`, faults.status(401, { body: told })],
    ] as const) {
      const stop = fault && registry.faults.add({ match: { path: /^\/v2\/team\//, isAuthorized: true }, fault });
      for (const method of ['GET', 'HEAD']) {
        const headers = { authorization: `Bearer ${token}` };
        const answer = await call(agent.url(`team/app/${tail}`), { method, headers });
        said.push(answer.body, Buffer.from(JSON.stringify(answer.headers)));
      }
      stop?.();
    }
    expect(tap.bytes().length).toBeGreaterThan(1_000);
    const secrets = { password: login.password, login: `${login.username}:${login.password}` };
    const texts = [tap.bytes(), Buffer.concat(said), Buffer.from(logs.join('\n')), await metrics.registry.metrics()];
    for (const text of texts) expect(findSecrets(text.toString('latin1'), secrets)).toEqual([]);
    // What the registry takes from the agent itself is for that repository alone.
    if (options.auth !== narrow) {
      const issued = registry.requests.map(({ headers }) => registryTokens(headers.authorization)).filter(Boolean);
      for (const text of texts) expect(issued.filter((value) => text.toString('latin1').includes(value))).toEqual([]);
    }
    expect(logs.length).toBeGreaterThan(0);
  },
);
