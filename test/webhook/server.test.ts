import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest, Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import fc from 'fast-check';
import jsonPatch from 'fast-json-patch';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../certs/authority.ts';
import type { ConnectorStore } from '../../connectors/catalogue.ts';
import { buildWebhook, type WebhookDependencies } from '../../webhook/server.ts';
import { catalogue, entriesOf, mutate, podOf, proxied, type Raw, settings } from './fixtures.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

function webhook(more: Partial<WebhookDependencies> = {}) {
  const app = buildWebhook({ store: { catalogue }, ...settings, logger: false, ...more });
  open.push(app);
  return app;
}

const podResource = { group: '', version: 'v1', resource: 'pods' };

const reviewOf = (request: Raw): Raw => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { uid: 'u-1', resource: podResource, namespace: 'demo', operation: 'CREATE', ...request },
});

const post = (body: unknown, headers: Record<string, string> = {}, app = webhook()) =>
  app.inject({
    method: 'POST',
    url: '/mutate?timeout=5s',
    headers: { 'content-type': 'application/json', ...(body === '' ? { 'content-length': '0' } : {}), ...headers },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });

const readPatch = (response: Raw) => JSON.parse(Buffer.from(`${response['patch']}`, 'base64').toString());

describe('POST /mutate', () => {
  it('answers with the patch of the decision', async () => {
    const pod = podOf('harbor.example.com/app:v1');
    const answer = await post(reviewOf({ object: pod }));
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    const { apiVersion, kind, response } = answer.json();
    expect({ apiVersion, kind }).toEqual({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
    expect(response).toMatchObject({ uid: 'u-1', allowed: true, patchType: 'JSONPatch' });
    expect(response.auditAnnotations).toEqual({ decision: 'Rewritten=1', connectors: 'demo/harbor' });
    expect(readPatch(response)).toEqual(mutate(pod).patch);
  });

  it('answers a pod that stays with no patch at all', async () => {
    const { response } = (await post(reviewOf({ namespace: 'plain', object: podOf('nginx') }))).json();
    expect(response).toEqual({ uid: 'u-1', allowed: true });
  });

  it('passes warnings on', async () => {
    const { response } = (await post(reviewOf({ object: podOf('broken.example.com/x') }))).json();
    expect(response.warnings).toEqual(['connector demo/broken cannot be used at present: SecretNotFound']);
  });

  it('answers a dry run as it answers any other, for it has no side effects', async () => {
    const review = { object: podOf('harbor.example.com/app:v1') };
    const [wet, dry] = [await post(reviewOf(review)), await post(reviewOf({ ...review, dryRun: true }))];
    expect(dry.body).toBe(wet.body);
  });

  it('compares an update with the old pod', async () => {
    const review = { operation: 'UPDATE', object: podOf('nginx:2'), oldObject: podOf('nginx:1') };
    const { response } = (await post(reviewOf(review))).json();
    expect(readPatch(response)).toEqual([
      { op: 'replace', path: '/spec/containers/0/image', value: proxied('demo/hub', 'library/nginx:2') },
    ]);
  });

  it('knows ephemeral containers by the subresource', async () => {
    const pod = podOf('nginx', { spec: { imagePullSecrets: [{ name: 'oci-connector-pull' }] } });
    const object = { ...pod, spec: { ...(pod['spec'] as Raw), ephemeralContainers: [{ name: 'd', image: 'redis' }] } };
    const review = { operation: 'UPDATE', subResource: 'ephemeralcontainers', object, oldObject: pod };
    const { response } = (await post(reviewOf(review))).json();
    expect(readPatch(response)).toMatchObject([{ path: '/spec/ephemeralContainers/0/image' }]);
  });

  it.each([
    ['another resource', { resource: { group: 'apps', version: 'v1', resource: 'deployments' } }, 1],
    ['pods of another group', { resource: { group: 'metrics.k8s.io', version: 'v1', resource: 'pods' } }, 1],
    ['a deletion', { operation: 'DELETE', object: null }, 0],
    ['an exec', { operation: 'CONNECT', subResource: 'exec' }, 0],
    ['the status', { operation: 'UPDATE', subResource: 'status' }, 0],
    ['a binding', { subResource: 'binding' }, 0],
  ])('allows %s unchanged', async (_what, request, warnings) => {
    const answer = await post(reviewOf({ object: podOf('nginx'), ...request }));
    expect(answer.statusCode).toBe(200);
    const { response } = answer.json();
    expect(response).toMatchObject({ uid: 'u-1', allowed: true });
    expect(response).not.toHaveProperty('patch');
    expect(response.warnings ?? []).toHaveLength(warnings);
  });

  it('tells whoever counts of each decision', async () => {
    const seen: unknown[] = [];
    const app = webhook({
      onDecision: ({ outcome }, { namespace, dryRun }) => seen.push([outcome, namespace, dryRun]),
    });
    await post(reviewOf({ object: podOf('nginx') }), {}, app);
    await post(reviewOf({ object: podOf('nginx'), namespace: 'plain', dryRun: true }), {}, app);
    expect(seen).toEqual([
      ['Decided', 'demo', false],
      ['NotOptedIn', 'plain', true],
    ]);
  });

  it('takes the catalogue that its store has at the time', async () => {
    const store: { catalogue: ConnectorStore['catalogue'] } = { catalogue };
    const app = webhook({ store });
    const ask = async () => (await post(reviewOf({ object: podOf('nginx') }), {}, app)).json().response.patch;
    expect(await ask()).toBeDefined();
    store.catalogue = { ...catalogue, namespace: () => undefined };
    expect(await ask()).toBeUndefined();
  });
});

describe('what the webhook refuses', () => {
  const good = reviewOf({ object: podOf('nginx') });
  const request = good['request'] as Raw;
  const table: [what: string, body: unknown, message: string][] = [
    ['an empty body', '', 'not JSON'],
    ['half a body', '{"apiVersion":', 'not JSON'],
    ['null', null, 'not an object'],
    ['a list', [good], 'not an object'],
    ['a text', '"AdmissionReview"', 'not an object'],
    ['another kind', { ...good, kind: 'Pod' }, 'kind is "Pod": it must be "AdmissionReview"'],
    ['no kind', { ...good, kind: undefined }, 'kind is missing'],
    ['version v1beta1', { ...good, apiVersion: 'admission.k8s.io/v1beta1' }, 'it must be "admission.k8s.io/v1"'],
    ['no request', { ...good, request: undefined }, 'request is missing'],
    ['a request that is a list', { ...good, request: [] }, 'request is a list'],
    ['no uid', reviewOf({ ...request, uid: undefined }), 'request.uid is missing'],
    ['an empty uid', reviewOf({ ...request, uid: '' }), 'request.uid is ""'],
    ['a uid that is no text', reviewOf({ ...request, uid: 7 }), 'request.uid is a number'],
    ['no operation', reviewOf({ ...request, operation: undefined }), 'request.operation is missing'],
    ['another operation', reviewOf({ ...request, operation: 'PATCH' }), 'CREATE, UPDATE, DELETE, CONNECT'],
    ['no resource', reviewOf({ ...request, resource: undefined }), 'request.resource is missing'],
    ['no namespace', reviewOf({ ...request, namespace: '' }), 'request.namespace is missing'],
    ['no object', reviewOf({ ...request, object: undefined }), 'request.object is missing'],
    ['an object that is null', reviewOf({ ...request, object: null }), 'request.object is null'],
    ['an update without the old pod', reviewOf({ ...request, operation: 'UPDATE' }), 'request.oldObject is missing'],
  ];
  it.each(table)('%s: 400 with the reason', async (_what, body, message) => {
    const answer = await post(body);
    expect(answer.statusCode).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json()).toMatchObject({ kind: 'Status', status: 'Failure', code: 400 });
    expect(answer.json().message).toContain(message);
  });

  it.each(['text/plain', 'application/yaml', 'application/json-patch+json', 'application/jsonx', 'x'])(
    'content type %s: 415',
    async (type) => {
      const answer = await post(good, { 'content-type': type });
      expect(answer.statusCode).toBe(415);
      expect(answer.json().message).toContain('application/json');
    },
  );

  it('no content type: 415', async () => {
    const answer = await webhook().inject({
      method: 'POST',
      url: '/mutate',
      payload: Buffer.from(JSON.stringify(good)),
    });
    expect(answer.statusCode).toBe(415);
  });

  it.each(['application/json; charset=utf-8', 'Application/JSON;charset=UTF-8'])(
    'takes content type %s',
    async (type) => {
      expect((await post(good, { 'content-type': type })).statusCode).toBe(200);
    },
  );

  it('a body of more than 8 MiB: 413, and one of 8 MiB is taken', async () => {
    const sized = (bytes: number) => {
      const empty = JSON.stringify(reviewOf({ object: podOf('nginx'), padding: '' }));
      return JSON.stringify(reviewOf({ object: podOf('nginx'), padding: 'x'.repeat(bytes - empty.length) }));
    };
    const limit = 8 * 1024 * 1024;
    expect((await post(sized(limit))).statusCode).toBe(200);
    const answer = await post(sized(limit + 1));
    expect(answer.statusCode).toBe(413);
    expect(answer.json().message).toContain(`${limit} bytes`);
  });

  it.each(['GET', 'PUT', 'DELETE', 'PATCH'] as const)('%s /mutate: 405', async (method) => {
    const answer = await webhook().inject({ method, url: '/mutate?timeout=5s' });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers['allow']).toBe('POST');
  });

  it('other paths: 404', async () => {
    const answer = await webhook().inject({ method: 'POST', url: '/other', payload: good });
    expect(answer.statusCode).toBe(404);
    expect(answer.json().message).toContain('POST /mutate');
  });
});

describe('what the webhook cannot decide', () => {
  const failing = (message: string): ConnectorStore => ({
    get catalogue(): never {
      throw new Error(message);
    },
  });

  it('is a 500, logged, and without inner words', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    const app = webhook({ store: failing('not synced'), logger });
    const answer = await post(reviewOf({ object: podOf('nginx') }), {}, app);
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ kind: 'Status', code: 500, reason: 'InternalError' });
    expect(answer.body).not.toContain('not synced');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ err: { message: 'not synced' } });
  });

  it('is a 500 when the decision itself fails', async () => {
    const broken = { ...catalogue, find: () => expect.unreachable('found') as never };
    const answer = await post(reviewOf({ object: podOf('nginx') }), {}, webhook({ store: { catalogue: broken } }));
    expect(answer.statusCode).toBe(500);
  });

  it('does not hinder what needs no deciding', async () => {
    const app = webhook({ store: failing('not synced') });
    expect((await post(reviewOf({ operation: 'DELETE' }), {}, app)).statusCode).toBe(200);
  });
});

describe('keys that JavaScript would rather not have', () => {
  const bodyOf = (pod: Raw) => JSON.stringify(reviewOf({ object: pod })).replaceAll('"PROTO"', '"__proto__"');

  it('neither pollute, nor are lost, nor stop the pod', async () => {
    const pod = podOf('nginx', { annotations: { PROTO: 'a', constructor: 'b' }, labels: { PROTO: 'true' } });
    const odd = { ...pod, PROTO: { polluted: true }, spec: { ...(pod['spec'] as Raw), PROTO: { polluted: [1] } } };
    const answer = await post(bodyOf(odd));
    expect(answer.statusCode).toBe(200);
    expect(({} as Raw)['polluted']).toBeUndefined();
    const sent = JSON.parse(bodyOf(odd)).request.object;
    const patched = jsonPatch.applyPatch(sent, readPatch(answer.json().response)).newDocument;
    expect(entriesOf(patched)).toMatchObject([{ reason: 'Rewritten' }]);
    expect(JSON.stringify(patched).match(/"__proto__"/g)).toHaveLength(4);
  });

  it('do not opt a pod in', async () => {
    const pod = podOf('nginx', { labels: { PROTO: { 'connectors.cpaas.io/proxy-inject': 'true' } } });
    const review = bodyOf(pod).replace('"demo"', '"plain"');
    expect((await post(review)).json().response).toEqual({ uid: 'u-1', allowed: true });
  });
});

it('serves HTTPS, and takes another certificate while it runs', async () => {
  const now = Date.now();
  const lifeMs = 60 * 60_000;
  const ca = await createCertificateAuthority({ name: 'serving', now, lifeMs });
  const certificate = () => issueServerCertificate(ca, { names: ['localhost'], now, lifeMs });
  const app = webhook({ https: await certificate() });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { server } = app;
  if (!(server instanceof Server)) throw new Error('not an HTTPS server');
  const { port } = server.address() as AddressInfo;
  const ask = async () => {
    const options = { port, host: '127.0.0.1', servername: 'localhost', ca: ca.cert, agent: false };
    const headers = { 'content-type': 'application/json' };
    const sent = httpsRequest({ ...options, path: '/mutate?timeout=5s', method: 'POST', headers });
    sent.end(JSON.stringify(reviewOf({ object: podOf('nginx') })));
    const [answer]: [IncomingMessage] = (await once(sent, 'response')) as [IncomingMessage];
    const { serialNumber } = (answer.socket as TLSSocket).getPeerCertificate();
    return { serialNumber, body: await text(answer) };
  };
  const before = await ask();
  server.setSecureContext(await certificate());
  const after = await ask();
  expect(JSON.parse(before.body).response).toMatchObject({ uid: 'u-1', allowed: true });
  expect(after.body).toBe(before.body);
  expect(after.serialNumber).not.toBe(before.serialNumber);
});

it('never fails for what it is sent', async () => {
  const app = webhook();
  const request = fc.record(
    {
      uid: fc.oneof(fc.string(), fc.jsonValue()),
      operation: fc.constantFrom('CREATE', 'UPDATE', 'DELETE', 'X', 7),
      resource: fc.oneof({ weight: 4, arbitrary: fc.constant(podResource) }, fc.jsonValue()),
      subResource: fc.constantFrom('', 'ephemeralcontainers', 'status', null),
      namespace: fc.oneof(fc.constant('demo'), fc.jsonValue()),
      object: fc.oneof(fc.jsonValue(), fc.record({ metadata: fc.jsonValue(), spec: fc.jsonValue() })),
      oldObject: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(fc.jsonValue(), request.map(reviewOf));
  await fc.assert(
    fc.asyncProperty(body, async (sent) => {
      expect([200, 400]).toContain((await post(sent, {}, app)).statusCode);
    }),
    { numRuns: 500 },
  );
});
