import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { systemClock } from '../support/registry/exchange.ts';
import { type RegistryAuth, startRegistry, type TokenAuth } from '../support/registry.ts';

const login = { username: 'robot', password: 'correct horse' };

/** A registry with an image and a proxy to it, which have one clock. */
async function arrange(auth: Partial<TokenAuth> | { kind: 'basic' | 'none' } = {}, credential: object = login) {
  const clock = { ...systemClock, nowMs: Date.now(), now: () => clock.nowMs };
  const registry = await startRegistry({ auth: { kind: 'token', ...login, ...auth } as RegistryAuth, clock });
  const image = registry.seed('team/app', makeImage(), ['v1']);
  const proxy = await startProxy({ documents: connectorTo(registry.origin, credential), now: clock.now });
  onTestFinished(async () => {
    await proxy.close();
    await registry.close();
  });
  const pull = async () => {
    const { status, body } = await call(proxy.url('team/app/manifests/v1'));
    return digestOf(body) === image.digest ? 'whole' : { status, ...JSON.parse(body.toString()).errors[0] };
  };
  const pullAll = async (count: number) => [...new Set(await Promise.all(Array.from({ length: count }, pull)))];
  return { clock, registry, proxy, image, pull, pullAll };
}

describe('the token of a repository', () => {
  test('is asked for once by 200 pulls at the same time, and the challenge too', async () => {
    const { registry, proxy, pullAll } = await arrange();
    expect(await pullAll(200)).toEqual(['whole']);
    expect(registry.tokenRequests).toHaveLength(1);
    expect(registry.requests.filter(({ url }) => url === '/v2/')).toHaveLength(1);
    expect(registry.requests.filter(({ status }) => status === 401)).toHaveLength(1);
    expect(proxy.exchanges).toEqual(['granted']);
  });

  test('is asked for in the words of the specification, with our own scope', async () => {
    const { registry, pull } = await arrange({ scope: '*' });
    await pull();
    const [request] = registry.tokenRequests;
    expect(request?.query.getAll('scope')).toEqual(['repository:team/app:pull']);
    expect(request?.query.get('service')).toBe('test-registry');
  });

  test('is asked for again when it was revoked, once for all pulls under way, and nobody notices', async () => {
    const { registry, pull, pullAll } = await arrange();
    await pull();
    registry.revokeTokens();
    expect(await pullAll(50)).toEqual(['whole']);
    expect(registry.tokenRequests).toHaveLength(2);
  });

  test('is asked for again before it expires', async () => {
    const { registry, clock, pull } = await arrange({ expiresInSeconds: 300, issuedAt: 'now' });
    const start = clock.nowMs;
    for (const [elapsedSeconds, tokens] of [
      [0, 1],
      [269, 1],
      [271, 2],
      [271 + 269, 2],
      [271 + 271, 3],
    ] as const) {
      clock.nowMs = start + elapsedSeconds * 1000;
      expect(await pull()).toBe('whole');
      expect(registry.tokenRequests).toHaveLength(tokens);
    }
    const refused = registry.requests.filter(({ status, repository }) => status === 401 && repository !== undefined);
    expect(refused).toEqual([]);
  });

  test('without an expiry lives a minute, as the specification has it', async () => {
    const { registry, clock, pull } = await arrange({});
    await pull();
    clock.nowMs += 53_000;
    expect(await pull()).toBe('whole');
    expect(registry.tokenRequests).toHaveLength(1);
    clock.nowMs += 2000;
    expect(await pull()).toBe('whole');
    expect(registry.tokenRequests).toHaveLength(2);
  });

  test('is asked for again when a blob breaks off and the token has expired meanwhile', async () => {
    const { registry, proxy } = await arrange();
    const digest = await registry.seedSyntheticBlob('team/app', 300_000);
    const revoking: faults.Fault = {
      name: 'revoked and reset',
      inflict: async (answer, exchange) => {
        const broken = await faults.resetAfter(1000).inflict(answer, exchange);
        registry.revokeTokens();
        return broken;
      },
    };
    registry.faults.add({ match: { path: /blobs/, isAuthorized: true }, times: 2, fault: revoking });
    const { status, failure, body } = await call(proxy.url(`team/app/blobs/${digest}`));
    expect([status, failure, digestOf(body)]).toEqual([200, undefined, digest]);
    expect(registry.tokenRequests).toHaveLength(3);
  });

  test('that the registry goes on refusing is asked for twice, and then the refusal is the answer', async () => {
    const { registry, pull } = await arrange({ grantAccess: () => [] });
    expect(await pull()).toEqual({
      status: 403,
      code: 'DENIED',
      message:
        `connector demo/registry: the registry ${registry.authority} refused its credential for team/app with 401:` +
        ' UNAUTHORIZED: authentication required',
      detail: { reason: 'UPSTREAM_DENIED', connector: 'demo/registry' },
    });
    expect(registry.tokenRequests).toHaveLength(2);
    expect(registry.requests.filter(({ repository }) => repository === 'team/app')).toHaveLength(2);
  });

  test('that is the same once more is not tried again', async () => {
    const { registry, pull } = await arrange({ grantAccess: () => [], makeToken: () => 'always-the-same' });
    expect(await pull()).toMatchObject({ status: 403 });
    expect(registry.requests.filter(({ repository }) => repository === 'team/app')).toHaveLength(1);
  });

  test('is still fetched for the others when the caller who asked first goes away', async () => {
    const { registry, proxy, pull } = await arrange();
    const goesOn = Promise.withResolvers<void>();
    const inflict: faults.Fault['inflict'] = async (answer) => {
      await goesOn.promise;
      return answer();
    };
    registry.faults.add({ match: { path: '/token' }, times: 1, fault: { name: 'held up', inflict } });
    const leaving = new AbortController();
    const left = call(proxy.url('team/app/manifests/v1'), { signal: leaving.signal });
    await registry.tokenArrival(() => true);
    const others = [];
    for (let other = 0; other < 2; other += 1) {
      const arrival = once(proxy.proxy.server, 'request');
      others.push(pull());
      await arrival;
    }
    leaving.abort();
    expect((await left).failure).toBe('ABORT_ERR');
    expect(await proxy.operation()).toMatchObject({ error: 'CANCELLED' });
    goesOn.resolve();
    expect(await Promise.all(others)).toEqual(['whole', 'whole']);
    expect(registry.tokenRequests).toHaveLength(1);
  });

  test('is no longer asked for when nobody waits for it', async () => {
    const { registry, proxy } = await arrange();
    registry.faults.add({ match: { path: '/token' }, fault: faults.hanging });
    const leaving = new AbortController();
    const left = call(proxy.url('team/app/manifests/v1'), { signal: leaving.signal });
    const request = await registry.tokenArrival(() => true);
    leaving.abort();
    await left;
    expect(await request.ended).toBe('broken');
    expect(await proxy.operation()).toMatchObject({ status: 0, error: 'CANCELLED' });
  });
});

describe('a registry', () => {
  test('with Basic authentication gets the credential with each request', async () => {
    const { registry, pullAll } = await arrange({ kind: 'basic' });
    expect(await pullAll(5)).toEqual(['whole']);
    const seen = registry.requests.map(({ headers }) => headers.authorization);
    expect(new Set(seen)).toEqual(new Set([undefined, `Basic ${btoa('robot:correct horse')}`]));
    expect(registry.requests.filter(({ status }) => status === 401)).toHaveLength(1);
  });

  test('that is open gets no authorization', async () => {
    const { registry, pull } = await arrange({ kind: 'none' });
    expect(await pull()).toBe('whole');
    expect(registry.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  test('that gives tokens to nobody in particular is asked for one without a credential', async () => {
    const { registry, pull } = await arrange({ anonymousPull: true }, {});
    expect(await pull()).toBe('whole');
    expect(registry.tokenRequests.map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  test('that is open at its base and closed at a repository is asked with its later challenge', async () => {
    const { registry, pull } = await arrange();
    registry.faults.add({ match: { path: '/v2/' }, fault: faults.status(200) });
    expect(await pull()).toBe('whole');
    expect(registry.tokenRequests).toHaveLength(1);
    expect(await pull()).toBe('whole');
    expect(registry.requests.filter(({ status }) => status === 401)).toHaveLength(1);
  });

  test('that changes from Basic to tokens is asked anew how it wants to be authenticated to', async () => {
    const { registry, pull } = await arrange();
    const basic = { headers: { 'www-authenticate': 'Basic realm="old"' } };
    registry.faults.add({ match: { path: '/v2/' }, times: 1, fault: faults.status(401, basic) });
    expect(await pull()).toBe('whole');
    expect(registry.tokenRequests).toHaveLength(1);
  });
});
