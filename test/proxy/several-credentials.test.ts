import { describe, expect, onTestFinished, test } from 'vitest';
import type { Document } from '../../connectors/schema.ts';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { connectorOf } from '../connectors/documents.ts';
import { basicEntry } from '../credentials/entries.ts';
import {
  type Account,
  type AccountRegistryOptions,
  accountOf,
  isTrial,
  startAccountRegistry,
} from '../support/accounts.ts';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import { type Fault, status } from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { startProxy } from '../support/proxy.ts';
import { asked, relayed, serving } from './support/agent-scene.ts';
import { makeCluster, startAgent, startCentre } from './support/centre.ts';

const app = 'team/app';
const image = makeImage();
const canary = (name: string) => `canary+7f3a/of "${name}"`;
const account = (name: string, pulls: readonly string[] = [], pushes: readonly string[] = []): Account => ({
  password: canary(name),
  pulls,
  pushes,
});
const policy = { body: JSON.stringify({ errors: [{ code: 'DENIED', message: 'policy of the tenancy' }] }) };
const sealing = ephemeralSealingKeys();

/** A registry with accounts, and a connector with an entry for each. */
async function openRegistry(accounts: Record<string, Account>, options: AccountRegistryOptions = {}) {
  const site = await startAccountRegistry(accounts, options);
  onTestFinished(() => site.close());
  site.registry.seed(app, image, ['v1']);
  const { authority, origin } = site.registry;
  const imagePullSecrets = Object.entries(accounts).map(([name, { password }]) =>
    basicEntry(authority, name, password),
  );
  const documents: Document[] = [connectorOf({ address: origin, imagePullSecrets }, { name: 'registry' })];
  /** Refuses every user of `names` where bytes are, although tags are listed for them. */
  const forbid = (...names: readonly string[]) =>
    site.registry.faults.add({
      match: ({ path, exchange }) => !path.endsWith('/tags/list') && names.includes(accountOf(exchange) ?? ''),
      fault: status(403, policy),
    });
  /** `user path` of what was asked for besides trials and challenges. */
  const taken = () =>
    site.registry.requests
      .filter((request) => !isTrial(request) && request.url !== '/v2/')
      .map((request) => `${accountOf(request)} ${request.method} ${request.url.replace(/^.*\/(\w+\/[^/]*)$/, '$1')}`);
  return { ...site, documents, forbid, taken };
}

/** Behind the central proxy. */
async function openProxy(accounts: Record<string, Account>, options: AccountRegistryOptions = {}) {
  const site = await openRegistry(accounts, options);
  const proxy = await startProxy({ documents: site.documents, sealing });
  onTestFinished(() => proxy.close());
  return { ...site, proxy, pull: (tail = `${app}/manifests/v1`) => call(proxy.url(tail)) };
}

/** Behind an agent and a centre. */
async function openAgent(accounts: Record<string, Account>, options: AccountRegistryOptions = {}) {
  const site = await openRegistry(accounts, options);
  const cluster = makeCluster(site.documents);
  const centre = await startCentre({ cluster, serving: await serving });
  const { ca } = await serving;
  const agent = await startAgent({ port: centre.port, ca, token: cluster.agentToken('n1') });
  onTestFinished(async () => {
    await agent.close();
    await centre.close();
  });
  const authorization = `Bearer ${cluster.api.login({ username: 'system:serviceaccount:demo:default' })}`;
  const pull = (tail = `${app}/manifests/v1`) => call(agent.url(tail), { headers: { authorization } });
  return { ...site, centre, agent, pull };
}

const ways = [
  ['the central proxy', openProxy, {}],
  ['an agent', openAgent, {}],
  // Tokens that live so long do not leave the centre.
  ['an agent and the centre', openAgent, { expiresInSeconds: 3_600 }],
] as const;

describe.each(ways)('through %s', (_way, open, options) => {
  test('an image is pulled with the second credential, where the first may not pull', async () => {
    const { taken, trials, pull } = await open({ one: account('one'), two: account('two', [app]) }, options);
    expect(digestOf((await pull()).body)).toBe(image.digest);
    for (const layer of image.layers) expect(digestOf((await pull(`${app}/blobs/${layer}`)).body)).toBe(layer);
    expect(taken().every((line) => line.startsWith('two GET'))).toBe(true);
    expect(trials()).toEqual(['one', 'two']);
  });

  test('an image is pulled with the second credential, where the first gets 403 although tags are listed', async () => {
    const accounts = { one: account('one', [app]), two: account('two', [app]) };
    const { forbid, taken, exchanges, pull } = await open(accounts, options);
    forbid('one');
    expect(digestOf((await pull()).body)).toBe(image.digest);
    expect((await pull()).status).toBe(200);
    expect(taken()).toEqual(['one GET manifests/v1', 'two GET manifests/v1', 'two GET manifests/v1']);
    expect(exchanges).toHaveLength(2);
  });

  test('an image is pulled with the credential that sees it, where the others are told that there is none', async () => {
    const accounts = { one: account('one'), two: account('two'), three: account('three', [app]) };
    const { registry, pull } = await open(accounts, { ...options, lackingRightStatus: 404 });
    registry.faults.add({ match: { path: /\/tags\/list$/ }, fault: status(404) });
    expect(digestOf((await pull()).body)).toBe(image.digest);
    const before = registry.requests.length;
    expect((await pull()).status).toBe(200);
    expect(registry.requests.length).toBe(before + 1);
    // What nobody sees is the registry's to tell.
    expect(await pull(`${app}/manifests/v2`)).toMatchObject({ status: 404 });
  });

  test('a right that is withdrawn while a token lives is had from the next credential', async () => {
    const accounts = { one: account('one', [app]), two: account('two', [app]) };
    const { forbid, taken, pull } = await open(accounts, options);
    expect((await pull()).status).toBe(200);
    forbid('one');
    expect((await pull()).status).toBe(200);
    expect(taken()).toEqual(['one GET manifests/v1', 'one GET manifests/v1', 'two GET manifests/v1']);
  });

  test('403 for the only credential is the end, in the registry’s words, and asks nobody else', async () => {
    const { forbid, taken, exchanges, trials, pull } = await open({ one: account('one', [app]) }, options);
    forbid('one');
    for (const count of [1, 2, 3]) {
      const { status: answered, body } = await pull();
      expect(answered).toBe(403);
      expect(body.toString()).toContain('policy of the tenancy');
      expect(taken()).toHaveLength(count);
    }
    expect([exchanges.length, trials().length]).toEqual([1, 0]);
  });

  test('403 for every credential is the end after each was shown once', async () => {
    const accounts = { one: account('one', [app]), two: account('two', [app]), three: account('three', [app]) };
    const { forbid, taken, pull } = await open(accounts, options);
    forbid('one', 'two', 'three');
    const { status: answered, body } = await pull();
    expect(answered).toBe(403);
    expect(body.toString()).toContain('policy of the tenancy');
    const used = taken().map((line) => line.split(' ')[0]);
    expect(used.length).toBeLessThanOrEqual(3);
    expect(new Set(used).size).toBe(used.length);
  });

  test('where none may pull the answer names each entry, and no credential', async () => {
    const accounts = { one: account('one'), two: account('two') };
    const { taken, pull } = await open(accounts, { ...options, isDecidedByTokens: true, refusal: () => canary('one') });
    const { status: answered, headers, body } = await pull();
    expect(answered).toBe(403);
    expect(JSON.parse(body.toString()).errors[0].detail.reason).toBe('CREDENTIAL_REFUSED');
    for (const label of ['spec.imagePullSecrets[0]', 'spec.imagePullSecrets[1]'])
      expect(body.toString()).toContain(label);
    expect(body.toString() + JSON.stringify(headers)).not.toContain('canary');
    expect(taken()).toEqual([]);
  });

  test('a repository that is not there is told by the registry', async () => {
    const accounts = { one: account('one', [app, 'team/none']), two: account('two', [app, 'team/none']) };
    const { pull } = await open(accounts, options);
    const { status: answered, body } = await pull('team/none/manifests/v1');
    expect(answered).toBe(404);
    expect(body.toString()).toContain('UNKNOWN');
  });
});

// The registry has learned the first password from us, and may repeat it whenever it likes.
test.each([ways[0], ways[2]])(
  'through %s nothing comes that the registry repeats of another credential than the one in use',
  async (_way, open, options) => {
    const accounts = { one: account('one'), two: account('two', [app]) };
    const { registry, pull } = await open(accounts, options);
    const echo: Fault = status(404, {
      body: JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: canary('one') }] }),
      headers: { 'x-debug': Buffer.from(canary('one')).toString('base64') },
    });
    registry.faults.add({ match: { path: /\/manifests\/none$/ }, fault: echo });
    const { status: answered, headers, body } = await pull(`${app}/manifests/none`);
    expect(answered).toBe(404);
    expect(body.toString()).not.toContain('canary');
    expect(JSON.stringify(headers)).not.toContain(Buffer.from(canary('one')).toString('base64'));
  },
);

test('an agent asks the centre once more for another credential, and keeps that', async () => {
  const accounts = { one: account('one', [app]), two: account('two', [app]) };
  const { centre, forbid, pull } = await openAgent(accounts);
  forbid('one');
  for (const _ of [1, 2, 3]) expect((await pull()).status).toBe(200);
  expect(asked(centre.requests)).toHaveLength(2);
  expect(relayed(centre.requests)).toEqual([]);
  expect(centre.errors).toEqual([]);
});

describe('a push', () => {
  const blob = Buffer.from('the bytes of a small blob');
  const digest = digestOf(blob);
  const octets = { 'content-type': 'application/octet-stream' };

  test('goes with the second credential, where the first may only pull', async () => {
    const accounts = { reader: account('reader', [app]), writer: account('writer', [app], [app]) };
    const { registry, proxy, taken, exchanges } = await openProxy(accounts);
    const begun = await call(proxy.url(`${app}/blobs/uploads/`), { method: 'POST' });
    expect(begun.status).toBe(202);
    const upload = new URL(`${begun.headers.location}?digest=${digest}`, proxy.origin).href;
    expect((await call(upload, { method: 'PUT', body: blob, headers: octets })).status).toBe(201);
    expect(registry.contents(app).blobs).toContain(digest);
    const users = taken().map((line) => line.split(' ').slice(0, 2).join(' '));
    expect(users).toEqual(['reader POST', 'writer POST', 'writer PUT']);
    expect(exchanges.filter((line) => line.endsWith('pull,push')).map((line) => line.split(' ')[0])).toEqual([
      'reader',
      'writer',
    ]);
  });

  test('of a body in one request goes with the second credential as well', async () => {
    const accounts = { reader: account('reader', [app]), writer: account('writer', [app], [app]) };
    const { registry, proxy } = await openProxy(accounts);
    const url = proxy.url(`${app}/blobs/uploads/?digest=${digest}`);
    expect((await call(url, { method: 'POST', body: blob, headers: octets })).status).toBe(201);
    expect(registry.contents(app).blobs).toContain(digest);
  });

  test('that no credential may do is refused in the registry’s words, after each was shown once', async () => {
    const accounts = { one: account('one', [app]), two: account('two', [app]) };
    const { registry, proxy, taken } = await openProxy(accounts);
    const { status: answered, body } = await call(proxy.url(`${app}/blobs/uploads/`), { method: 'POST' });
    expect(answered).toBe(403);
    expect(body.toString()).toContain(`requested access to ${app} is denied`);
    expect(taken().map((line) => line.split(' ')[0])).toEqual(['one', 'two']);
    expect(registry.contents(app).blobs).not.toContain(digest);
  });

  test('of the only credential, which may not, is refused after one request', async () => {
    const { proxy, taken, exchanges } = await openProxy({ one: account('one', [app]) });
    expect((await call(proxy.url(`${app}/blobs/uploads/`), { method: 'POST' })).status).toBe(403);
    expect([taken().length, exchanges.length]).toEqual([1, 1]);
  });

  test('of more than is held in memory, that no credential may do, is refused soon and for good', async () => {
    const accounts = { one: account('one', [app]), two: account('two', [app]) };
    const { proxy } = await openProxy(accounts);
    const large = Buffer.alloc(3_000_000, 'large blob, ');
    const url = proxy.url(`${app}/blobs/uploads/?digest=${digestOf(large)}`);
    const statuses: (number | undefined)[] = [];
    for (let count = 0; count < 4; count += 1) {
      statuses.push((await call(url, { method: 'POST', body: large, headers: octets })).status);
    }
    expect(statuses.slice(2)).toEqual([403, 403]);
  });
});
