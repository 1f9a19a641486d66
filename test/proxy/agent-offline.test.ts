import { get } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { connectorTo } from '../support/proxy.ts';
import {
  asked,
  basicOnly,
  login,
  narrow,
  openAgent,
  openBoth,
  openCentre,
  openScene,
  reasonOf,
  relayed,
} from './support/agent-scene.ts';
import { makeServing, startCentre, startService } from './support/centre.ts';

const manifest = 'team/app/manifests/v1';

describe('with the centre away', () => {
  test('what was granted is pulled until the grant expires, and again when the centre is back', async () => {
    const scene = await openScene();
    const { clock, registry } = scene;
    const centre = await openCentre(scene);
    const ports = [centre.port];
    const service = await startService(ports);
    onTestFinished(() => service.close());
    const agent = await openAgent(scene, service.port);
    const pull = (tail: string) => call(agent.url(tail), { headers: { authorization: `Bearer ${scene.token}` } });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    await centre.kill();
    for (const passed of [30_000, 60_000, 100_000, 100_000]) {
      clock.pass(passed);
      expect(await pull(manifest)).toMatchObject({ status: 200 });
    }
    expect(registry.tokenRequests).toHaveLength(1);
    clock.pass(20_000);
    const late = await pull(manifest);
    expect(late).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
    expect(reasonOf(late.body)).toBe('CENTRE_UNREACHABLE');
    // What nobody has asked for before cannot be granted now.
    expect(await pull('team/other/manifests/v1')).toMatchObject({ status: 503 });
    ports[0] = (await openCentre(scene)).port;
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(await pull('team/other/manifests/v1')).toMatchObject({ status: 404 });
  });

  test('the caller’s token is good for no longer than it says', async () => {
    const scene = await openBoth();
    const { clock, cluster, centre, agent } = scene;
    const short = cluster.api.login({ username: 'short' }, { expiresAt: clock.now() + 60_000 });
    const pull = () => call(agent.url(manifest), { headers: { authorization: `Bearer ${short}` } });
    expect(await pull()).toMatchObject({ status: 200 });
    await centre.kill();
    clock.pass(55_000);
    expect(await pull()).toMatchObject({ status: 200 });
    clock.pass(6_000);
    expect(await pull()).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic realm="oci-connector"' } });
  });

  test('a known caller waits a moment at most', async () => {
    const { clock, centre, pull } = await openBoth();
    await pull(manifest);
    await centre.kill();
    clock.pass(30_000);
    const startedAt = performance.now();
    for (let at = 0; at < 20; at += 1) expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test('a known caller waits a moment at most for one that hangs, and then no more for a while', async () => {
    const { clock, centre, pull } = await openBoth();
    await pull(manifest);
    centre.fault.status = 'hanging';
    clock.pass(30_000);
    const startedAt = performance.now();
    for (let at = 0; at < 20; at += 1) expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(asked(centre.requests)).toHaveLength(2);
  });

  test('its pings of the base go on too', async () => {
    const { clock, centre, agent, token } = await openBoth();
    const ping = () => call(`${agent.origin}/v2/`, { headers: { authorization: `Bearer ${token}` } });
    expect(await ping()).toMatchObject({ status: 200 });
    await centre.kill();
    clock.pass(40_000);
    expect(await ping()).toMatchObject({ status: 200 });
  });
});

describe.each([500, 502, 503, 404, 200])('with a centre that answers %i, and not in its own words', (status) => {
  test('granted pulls go on, and recover', async () => {
    const { clock, centre, pull } = await openBoth();
    await pull(manifest);
    centre.fault.status = status;
    for (const passed of [30_000, 60_000]) {
      clock.pass(passed);
      expect(await pull(manifest)).toMatchObject({ status: 200 });
    }
    expect((await pull('team/none/manifests/v1')).status).toBeGreaterThanOrEqual(500);
    centre.fault.status = undefined;
    expect(await pull('team/none/manifests/v1')).toMatchObject({ status: 404 });
    clock.pass(60_000);
    const before = asked(centre.requests).length;
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(asked(centre.requests).length).toBe(before + 1);
  });
});

test('with the API server away from the centre, granted pulls go on through it', async () => {
  const { clock, cluster, pull } = await openBoth({ auth: basicOnly });
  expect(await pull(manifest)).toMatchObject({ status: 200 });
  cluster.api.state = 'away';
  for (const passed of [31_000, 60_000, 600_000]) {
    clock.pass(passed);
    expect(await pull(manifest)).toMatchObject({ status: 200 });
  }
});

test('a connector whose token server fails does not keep the agent from looking after the others', async () => {
  const { clock, cluster, documents, registry, centre, agent, token } = await openBoth();
  cluster.apply([...documents, ...connectorTo('http://127.0.0.1:1', { ...login, key: 'demo/dead' })]);
  const pull = (key: string) => call(agent.url(manifest, key), { headers: { authorization: `Bearer ${token}` } });
  expect(await pull('demo/registry')).toMatchObject({ status: 200 });
  for (let at = 0; at < 10; at += 1) {
    expect((await pull('demo/dead')).status).toBe(502);
    clock.pass(3_000);
  }
  const before = asked(centre.requests).length;
  expect(await pull('demo/registry')).toMatchObject({ status: 200 });
  expect(asked(centre.requests).length).toBe(before + 1);
  expect(registry.tokenRequests).toHaveLength(1);
});

describe('of two replicas', () => {
  test.each([1, 3_000_000, 15_000_000])(
    'one is killed after %i bytes of a blob, and another goes on',
    async (bytes) => {
      const scene = await openScene({ auth: basicOnly });
      const [first, second] = [await openCentre(scene), await openCentre(scene)];
      const service = await startService([first.port, second.port]);
      onTestFinished(() => service.close());
      const agent = await openAgent(scene, service.port);
      const blob = await scene.registry.seedSyntheticBlob('team/app', 16_000_000);
      scene.registry.faults.add({ match: { path: new RegExp(blob) }, times: 1, fault: faults.stalledAfter(bytes) });
      const pulled = download(agent.url(`team/app/blobs/${blob}`), { authorization: `Bearer ${scene.token}` });
      await expect.poll(pulled.received, { timeout: 10_000 }).toBe(bytes);
      await first.kill();
      const answer = await pulled.whole;
      expect(digestOf(answer)).toBe(blob);
      expect(relayed(second.requests)).toHaveLength(1);
      const ranges = scene.registry.requests
        .filter(({ url }) => url.includes(blob))
        .map(({ headers }) => headers.range);
      expect(ranges[0]).toBeUndefined();
      expect(ranges[1]).toMatch(/^bytes=\d+-15999999$/);
    },
  );

  test('one is killed between two pulls, and no caller notices', async () => {
    const scene = await openScene({ auth: basicOnly });
    const [first, second] = [await openCentre(scene), await openCentre(scene)];
    const service = await startService([first.port, second.port]);
    onTestFinished(() => service.close());
    const agent = await openAgent(scene, service.port);
    const pull = (tail: string) => call(agent.url(tail), { headers: { authorization: `Bearer ${scene.token}` } });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    await first.kill();
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    expect(await pull('team/none/tags/list')).toMatchObject({ status: 404 });
    expect(relayed(second.requests).length).toBeGreaterThan(0);
  });
});

function download(url: string, headers: Record<string, string>) {
  const chunks: Buffer[] = [];
  const whole = Promise.withResolvers<Buffer>();
  const request = get(url, { headers, agent: false }, (response) => {
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => whole.resolve(Buffer.concat(chunks)));
    response.on('error', whole.reject);
  });
  request.on('error', whole.reject);
  return { whole: whole.promise, received: () => chunks.reduce((sum, { length }) => sum + length, 0) };
}

describe('while it runs', () => {
  test('an agent’s token may be replaced, and the old one forgotten', async () => {
    const scene = await openScene({ auth: basicOnly });
    const centre = await openCentre(scene);
    let own = scene.cluster.agentToken('n1');
    const agent = await openAgent(scene, centre.port, { token: () => own });
    const pull = () => call(agent.url(manifest), { headers: { authorization: `Bearer ${scene.token}` } });
    expect(await pull()).toMatchObject({ status: 200 });
    scene.cluster.api.accounts.delete(own);
    own = scene.cluster.agentToken('n1');
    scene.clock.pass(300_000);
    expect(await pull()).toMatchObject({ status: 200 });
    // One that is nobody's is the agent's own trouble, and not the caller's.
    scene.cluster.api.accounts.delete(own);
    scene.clock.pass(300_000);
    const late = await pull();
    expect(late).toMatchObject({ status: 503 });
    expect(reasonOf(late.body)).toBe('CENTRE_UNREACHABLE');
  });

  test('the centre’s authority may be replaced: the old one is trusted no more', async () => {
    const scene = await openScene({ auth: narrow });
    const [old, young] = [await makeServing(), await makeServing()];
    const replicas = [];
    for (const own of [old, young]) {
      const centre = await startCentre({ cluster: scene.cluster, serving: own, now: scene.clock.now });
      onTestFinished(() => centre.close());
      replicas.push(centre);
    }
    const [first, second] = replicas;
    const ports = [first?.port ?? 0];
    const service = await startService(ports);
    onTestFinished(() => service.close());
    let ca = old.ca;
    const agent = await openAgent(scene, service.port, { ca: () => ca });
    const pull = (tail: string) => call(agent.url(tail), { headers: { authorization: `Bearer ${scene.token}` } });
    expect(await pull(manifest)).toMatchObject({ status: 200 });
    // A centre with a certificate of another authority is nobody to the agent.
    ports[0] = second?.port ?? 0;
    await first?.kill();
    expect(await pull('team/other/manifests/v1')).toMatchObject({ status: 503 });
    ca = young.ca;
    expect(await pull('team/other/manifests/v1')).toMatchObject({ status: 404 });
    expect(second?.errors).toEqual([]);
  });

  test.each([
    ['an empty file', ''],
    ['a blank file', '\n'],
    ['a file of something else', 'nothing'],
  ])('%s trusts nobody', async (_what, ca) => {
    const scene = await openScene();
    const centre = await openCentre(scene);
    const agent = await openAgent(scene, centre.port, { ca });
    const answer = await call(agent.url(manifest), { headers: { authorization: `Bearer ${scene.token}` } });
    expect(answer).toMatchObject({ status: 503 });
    expect(centre.requests).toEqual([]);
  });
});
