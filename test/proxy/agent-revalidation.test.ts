import { describe, expect, onTestFinished, test } from 'vitest';
import { call } from '../support/call.ts';
import * as faults from '../support/faults.ts';
import { connectorTo } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
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
  reasonOf,
  relayed,
} from './support/agent-scene.ts';

const manifest = 'team/app/manifests/v1';
const user = 'system:serviceaccount:demo:default';

describe.each([
  ['narrow tokens', narrow],
  ['Basic alone', basicOnly],
])('within a minute, an agent to a registry with %s follows', (_what, auth) => {
  test('a connector that is deleted', async () => {
    const { clock, cluster, pull } = await openBoth({ auth });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    cluster.apply([]);
    clock.pass(60_000);
    const late = await pull(manifest);
    expect(late.status).toBe(404);
    expect(reasonOf(late.body)).toBe('CONNECTOR_UNKNOWN');
  });

  test('rights that are withdrawn', async () => {
    const { clock, cluster, pull } = await openBoth({ auth });
    cluster.api.rights = new Set([`${user} get demo/registry`]);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    cluster.api.rights.clear();
    clock.pass(60_000);
    const late = await pull(manifest);
    expect(late.status).toBe(403);
    expect(reasonOf(late.body)).toBe('ACCESS_DENIED');
    cluster.api.rights.add(`${user} get demo/registry`);
    clock.pass(5_000);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
  });

  test('a token that is withdrawn', async () => {
    const { clock, cluster, token, pull } = await openBoth({ auth });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    cluster.api.accounts.delete(token);
    clock.pass(60_000);
    expect(await pull(manifest)).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="oci-connector"' },
    });
  });

  test('a credential that is rotated', async () => {
    const { clock, cluster, registry, pull } = await openBoth({ auth });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    registry.setCredential(login.username, 'the new one');
    registry.revokeTokens();
    cluster.apply(connectorTo(registry.origin, { ...login, password: 'the new one' }));
    clock.pass(60_000);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
  });

  test('an address that changes, and no token goes to the old one', async () => {
    const { clock, cluster, registry, pull } = await openBoth({ auth });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    const moved = await startRegistry({ auth, clock: { now: clock.now, sleep: () => Promise.resolve() } });
    onTestFinished(() => moved.close());
    cluster.apply(connectorTo(moved.origin, login));
    registry.revokeTokens();
    if (auth === narrow) {
      // Still within the time for which the old answer counts: the old registry refuses the old token.
      const early = await pull(manifest);
      expect(early).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    }
    clock.pass(60_000);
    expect(await pull(manifest)).toMatchObject({ status: 404 });
    const sent = new Set(registry.requests.map(({ headers }) => headers.authorization));
    expect(moved.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(true);
    if (auth === narrow) {
      for (const { headers } of moved.requests) {
        if (headers.authorization !== undefined) expect(sent.has(headers.authorization)).toBe(false);
      }
    }
  });
});

test('what the centre said counts for a while, and is then asked for again, once for all who wait', async () => {
  const { clock, centre, pull } = await openBoth();
  for (let at = 0; at < 5; at += 1) await pull(manifest);
  expect(asked(centre.requests)).toHaveLength(1);
  clock.pass(25_000);
  await Promise.all(Array.from({ length: 50 }, () => pull(manifest)));
  expect(asked(centre.requests)).toHaveLength(2);
});

test('a grant is renewed before its end', async () => {
  const { clock, registry, pull } = await openBoth();
  await pull(manifest);
  clock.pass(275_000);
  expect(await pull(manifest)).toMatchObject({ status: 200 });
  expect(registry.tokenRequests).toHaveLength(2);
});

describe('a grant that the registry refuses', () => {
  test('is renewed once', async () => {
    const { registry, centre, pull } = await openBoth();
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    registry.revokeTokens();
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(registry.tokenRequests).toHaveLength(2);
    expect(relayed(centre.requests)).toEqual([]);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(asked(centre.requests)).toHaveLength(2);
  });

  test('is renewed once for many who meet it at once', async () => {
    const { registry, centre, pull } = await openBoth();
    await pull(manifest);
    registry.revokeTokens();
    const answers = await Promise.all(Array.from({ length: 20 }, () => pull(manifest)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(registry.tokenRequests.length).toBeLessThanOrEqual(3);
    expect(relayed(centre.requests)).toEqual([]);
  });

  test('and refuses again goes through the centre, whose answer counts', async () => {
    const { registry, centre, pull } = await openBoth();
    // To the agent alone: whatever does not come with the next token but one.
    registry.faults.add({ match: { path: /\/team\/app\//, isAuthorized: true }, times: 2, fault: faults.status(401) });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(relayed(centre.requests)).toHaveLength(1);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(relayed(centre.requests)).toHaveLength(1);
  });

  test('and refuses for good is the registry’s denial, in our words', async () => {
    const { registry, centre, pull } = await openBoth();
    registry.faults.add({ match: { path: /\/team\/app\// }, fault: faults.status(401) });
    const answer = await pull(manifest);
    expect(answer.status).toBe(403);
    expect(reasonOf(answer.body)).toBe('UPSTREAM_DENIED');
    expect(answer.headers).not.toHaveProperty('www-authenticate');
    expect(relayed(centre.requests)).toHaveLength(1);
  });

  test('of a registry that shows its challenge at the repository only goes through the centre, which learns it', async () => {
    const { registry, centre, pull, clock } = await openBoth();
    registry.faults.add({ match: { path: '/v2/' }, fault: faults.status(200, { body: '{}' }) });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(relayed(centre.requests).length).toBeLessThanOrEqual(1);
    clock.pass(60_000);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(registry.tokenRequests).toHaveLength(1);
  });
});

test('a registry that changes its tokens, from narrow to opaque, is served all the same', async () => {
  const scene = await openScene({ auth: narrow });
  const centre = await openCentre(scene);
  const agent = await openAgent(scene, centre.port);
  const pull = () => call(agent.url(manifest), { headers: { authorization: `Bearer ${scene.token}` } });
  expect(await pull()).toMatchObject({ status: 200 });
  const other = await startRegistry({ auth: opaque });
  onTestFinished(() => other.close());
  other.seed('team/app', scene.image, ['v1']);
  scene.cluster.apply(connectorTo(other.origin, login));
  scene.clock.pass(30_000);
  expect(await pull()).toMatchObject({ status: 200 });
  expect(relayed(centre.requests)).toHaveLength(1);
});
