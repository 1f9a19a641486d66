import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage, request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { openSealingKeys } from '../../certs/sealing-keys.ts';
import { ephemeralSealingKeys, type SealingKeys } from '../../platform/sealing-keys.ts';
import { textMemory } from '../certs/text-memory.ts';
import { makeClientHome } from '../real/support/clients.ts';
import { requireParts } from '../real/support/parts.ts';
import { pushContent } from '../real/support/seed.ts';
import { type CallOptions, call } from '../support/call.ts';
import { digestOf, seededBytes } from '../support/digest.ts';
import type * as faults from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { type Balanced, type Balancer, startBalancer } from './support/fault-balancer.ts';

const login = { username: 'robot', password: 'correct horse' };
const octets = { 'content-type': 'application/octet-stream' };
const repository = 'namespaces/demo/connectors/registry/team/app';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const startReplica = async (registry: Registry, sealing: SealingKeys): Promise<RunningProxy> =>
  stack.use(await startProxy({ documents: connectorTo(registry.origin, login), sealing }));

/** Two replicas that share nothing but their keys, behind a balancer. */
async function arrange(balanced: Balanced, keys: readonly SealingKeys[] = []) {
  const registry = stack.use(await startRegistry({ auth: { kind: 'token', ...login } }));
  const shared = ephemeralSealingKeys();
  const first = await startReplica(registry, keys[0] ?? shared);
  const second = await startReplica(registry, keys[1] ?? shared);
  const balancer = stack.use(await startBalancer(balanced, first.port, second.port));
  return { registry, first, second, balancer, shared };
}

const methodsOf = ({ operations }: RunningProxy) => operations.map(({ method }) => method);

/** An upload whose every request is on a connection of its own. */
function openUpload({ origin }: Balancer) {
  let location = `/v2/${repository}/blobs/uploads/`;
  const step = async (method: string, options: CallOptions = {}, query = '') => {
    const answer = await call(`${origin}${location}${query}`, { method, ...options });
    if (answer.headers.location !== undefined) location = new URL(answer.headers.location, origin).pathname;
    return answer;
  };
  return {
    begin: () => step('POST'),
    append: (body: Buffer) => step('PATCH', { body, headers: { ...octets, 'transfer-encoding': 'chunked' } }),
    status: () => step('GET'),
    finish: (digest: string) => step('PUT', {}, `?digest=${digest}`),
  };
}

describe('an upload', () => {
  test('meets another replica with each of its requests', async () => {
    const { registry, first, second, balancer } = await arrange('connection');
    const pieces = [1, 2, 3, 4].map((number) => seededBytes(`piece ${number}`, 100_000 * number));
    const digest = digestOf(Buffer.concat(pieces));
    const upload = openUpload(balancer);
    expect(await upload.begin()).toMatchObject({ status: 202 });
    let sent = 0;
    for (const piece of pieces) {
      sent += piece.length;
      expect(await upload.append(piece)).toMatchObject({ status: 202, headers: { range: `0-${sent - 1}` } });
    }
    expect(await upload.status()).toMatchObject({ status: 204, headers: { range: `0-${sent - 1}` } });
    expect(await upload.finish(digest)).toMatchObject({ status: 201 });
    expect(registry.contents('team/app').blobs).toEqual([digest]);
    expect(methodsOf(first)).toEqual(['POST', 'PATCH', 'PATCH', 'PUT']);
    expect(methodsOf(second)).toEqual(['PATCH', 'PATCH', 'GET']);
  });

  test.each(['POST', 'PATCH'])('survives the replica that served its %s', async (last) => {
    const { registry, first, second, balancer } = await arrange('connection');
    const body = seededBytes('survivor', 300_000);
    const upload = openUpload(balancer);
    balancer.lead(first.port);
    await upload.begin();
    if (last === 'PATCH') await upload.append(body.subarray(0, 100_000));
    await first.close();
    balancer.lead(second.port);
    expect(await upload.append(last === 'PATCH' ? body.subarray(100_000) : body)).toMatchObject({ status: 202 });
    expect(await upload.finish(digestOf(body))).toMatchObject({ status: 201 });
    expect(registry.contents('team/app').blobs).toEqual([digestOf(body)]);
  });

  test('goes on where a replica is cut off in the middle of a piece', async () => {
    const { registry, first, second, balancer } = await arrange('connection');
    const body = seededBytes('cut off', 300_000);
    const upload = openUpload(balancer);
    balancer.lead(first.port);
    const begun = await upload.begin();
    const piece = request(new URL(begun.headers.location ?? '', balancer.origin), { method: 'PATCH', agent: false });
    const failed = once(piece, 'error');
    piece.write(body.subarray(0, 100_000));
    const patch = await registry.arrival(({ method }) => method === 'PATCH');
    await first.close();
    await failed;
    expect(await patch.ended).toBe('broken');
    balancer.lead(second.port);
    const range = (await upload.status()).headers.range ?? '';
    const kept = range === '0-0' ? 0 : Number(range.split('-')[1]) + 1;
    expect(kept).toBeLessThanOrEqual(100_000);
    expect(await upload.append(body.subarray(kept))).toMatchObject({ status: 202 });
    expect(await upload.finish(digestOf(body))).toMatchObject({ status: 201 });
  });

  test('goes on at replicas that know different keys, until the one learns of the other’s', async () => {
    const clock = { now: Date.now() };
    const open = async (store: ReturnType<typeof textMemory>) => {
      const keys = await openSealingKeys({ store, now: () => clock.now, checkEveryMs: 86_400_000, onError: () => {} });
      stack.defer(() => keys.close());
      return keys;
    };
    const store = textMemory();
    const early = await open(store);
    const late = await open(store);
    const { registry, balancer } = await arrange('connection', [early, late]);
    const upload = openUpload(balancer);
    expect(await upload.begin()).toMatchObject({ status: 202 });
    expect(early.current.id).toBe(late.current.id);
    // A week on there is another key, of which only one replica knows.
    clock.now += 7 * 86_400_000;
    await early.check();
    clock.now += 11 * 60_000;
    expect(early.current.id).not.toBe(late.current.id);
    const pieces = [1, 2, 3, 4].map((number) => seededBytes(`key ${number}`, 70_000));
    for (const piece of pieces) expect(await upload.append(piece)).toMatchObject({ status: 202 });
    const digest = digestOf(Buffer.concat(pieces));
    expect(await upload.finish(digest)).toMatchObject({ status: 201 });
    expect(registry.contents('team/app').blobs).toEqual([digest]);
    expect(late.current.id).toBe(early.current.id);
  });
});

requireParts('crane')('crane', () => {
  test.each(['connection', 'request'] as const)('pushes and pulls, each %s to the next replica', async (balanced) => {
    const { registry, first, second, balancer } = await arrange(balanced);
    const client = await makeClientHome();
    stack.defer(() => client.close());
    for (const number of [1, 2, 3]) {
      const image = makeImage({ layers: 5, layerBytes: 400_000, seed: `${balanced} ${number}` });
      const reference = `${balancer.host}/${repository}:v${number}`;
      await pushContent(client, image, reference);
      expect(registry.contents('team/app').tags[`v${number}`]).toBe(image.digest);
      expect(registry.contents('team/app').blobs).toEqual(expect.arrayContaining([...image.blobs.keys()]));
      await client.mustRun('crane', ['pull', reference, `${client.folder}/image-${number}.tar`]);
    }
    for (const replica of [first, second]) {
      expect(replica.operations.length).toBeGreaterThan(0);
      expect(replica.operations.filter(({ error }) => error !== undefined)).toEqual([]);
    }
    if (balanced === 'request') expect(methodsOf(second)).toEqual(expect.arrayContaining(['POST', 'PATCH', 'PUT']));
  });
});

describe('a rolling update', () => {
  const pulls = 50;
  const pushes = 20;
  const blobBytes = 200_000;

  /** Lets blobs come half their way, and the rest when told. */
  function halfWay(registry: Registry): () => void {
    const half = Promise.withResolvers<void>();
    const inflict: faults.Fault['inflict'] = async (answer) => {
      const right = await answer();
      const chunks: Uint8Array[] = [];
      for await (const chunk of right.body ?? []) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const body = async function* () {
        yield bytes.subarray(0, bytes.length / 2);
        await half.promise;
        yield bytes.subarray(bytes.length / 2);
      };
      return { ...right, body: body() };
    };
    registry.faults.add({ match: { method: 'GET', path: /blobs\/sha256/ }, fault: { name: 'half-way', inflict } });
    return half.resolve;
  }

  async function beginPull(balancer: Balancer, digest: string): Promise<IncomingMessage> {
    const [response] = await once(
      get(`${balancer.origin}/v2/${repository}/blobs/${digest}`, { agent: false }),
      'response',
    );
    return response;
  }

  async function beginPush(balancer: Balancer, body: Buffer): Promise<{ piece: ClientRequest; body: Buffer }> {
    const begun = await openUpload(balancer).begin();
    const url = new URL(begun.headers.location ?? '', balancer.origin);
    const piece = request(url, { method: 'PATCH', headers: octets, agent: false });
    piece.write(body.subarray(0, body.length / 2));
    return { piece, body };
  }

  test(`cuts none of ${pulls} pulls and ${pushes} pushes that are under way`, async () => {
    const { registry, first, second, balancer, shared } = await arrange('connection');
    const digests = await Promise.all(
      Array.from({ length: pulls }, (_, index) => registry.seedSyntheticBlob('team/app', blobBytes, `${index}`)),
    );
    const goOn = halfWay(registry);
    const pulling = await Promise.all(digests.map((digest) => beginPull(balancer, digest)));
    const bodies = Array.from({ length: pushes }, (_, index) => seededBytes(`push ${index}`, blobBytes));
    const pushing = await Promise.all(bodies.map((body) => beginPush(balancer, body)));
    await registry.arrival(({ method }) => method === 'PATCH', pushes);

    // New replicas are there before the old ones are told to end.
    const successors = [await startReplica(registry, shared), await startReplica(registry, shared)];
    balancer.lead(...successors.map(({ port }) => port));
    const drained = [first, second].map(({ proxy }) => proxy.drain(20_000));
    await expect.poll(() => first.proxy.server.listening || second.proxy.server.listening).toBe(false);

    goOn();
    const pulled = pulling.map(async (response) => digestOf(Buffer.concat(await response.toArray())));
    expect(await Promise.all(pulled)).toEqual(digests);
    const pushed = pushing.map(async ({ piece, body }) => {
      piece.end(body.subarray(body.length / 2));
      const [answer]: IncomingMessage[] = await once(piece, 'response');
      answer?.resume();
      const url = new URL(answer?.headers.location ?? '', balancer.origin);
      return (await call(`${url.href}?digest=${digestOf(body)}`, { method: 'PUT' })).status;
    });
    expect(await Promise.all(pushed)).toEqual(bodies.map(() => 201));
    await Promise.all(drained);
    const ended = [first, second].flatMap(({ operations }) => operations);
    expect(ended.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(ended.filter(({ method }) => method === 'PUT')).toEqual([]);
    expect(successors.flatMap(methodsOf).filter((method) => method === 'PUT')).toHaveLength(pushes);
    expect(registry.contents('team/app').blobs).toEqual(expect.arrayContaining(bodies.map(digestOf)));
  });
});
