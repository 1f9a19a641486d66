import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { KubernetesError, openKubernetesClient } from '../../../platform/kubernetes/client.ts';
import { resources } from '../../../platform/kubernetes/object.ts';
import { requestToken } from '../../../platform/kubernetes/token-request.ts';
import { ManualTimers } from './support/manual-timers.ts';
import { type Answer, sendJson, sendStatus, startScriptedApi } from './support/scripted-api.ts';

const key = { namespace: 'demo', name: 'harbor' };
const secret = { metadata: { ...key, resourceVersion: '7' } };

/** A client of a server that answers so; waits between attempts end at once and are written down. */
async function openScripted(answer: Answer, options: { timeoutMs?: number } = {}) {
  const api = await startScriptedApi(answer);
  const timers = new ManualTimers();
  const client = await openKubernetesClient({ kubeconfig: api.kubeconfig, timers, random: () => 1, ...options });
  const dispose = async (): Promise<void> => {
    await client.close();
    await api[Symbol.asyncDispose]();
  };
  return { api, client, timers, [Symbol.asyncDispose]: dispose };
}

const failureOf = (promise: Promise<unknown>): Promise<KubernetesError> =>
  promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => (error instanceof KubernetesError ? error : Promise.reject(error)),
  );

describe('requests', () => {
  test('that the server limits are sent again after the time that it names, writes too', async () => {
    const answers = [
      (response: Parameters<Answer>[1]) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '3' }),
      (response: Parameters<Answer>[1]) => sendJson(response, 201, secret),
    ];
    await using scripted = await openScripted((_, response) => answers.shift()?.(response));
    const creating = scripted.client.create(resources.secrets, secret);
    expect(await scripted.timers.skip()).toBe(3000);
    expect(await creating).toEqual(secret);
    expect(scripted.api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /api/v1/namespaces/demo/secrets',
      'POST /api/v1/namespaces/demo/secrets',
    ]);
  });

  test.each([
    ['get', true],
    ['replace', true],
    ['delete', true],
    ['merge patch', true],
    ['JSON patch', false],
    ['create', false],
  ])('of the verb %s are sent again after a 500: %s', async (verb, isRepeated) => {
    await using scripted = await openScripted((_, response) => sendStatus(response, 500, 'InternalError'));
    const { client, timers, api } = scripted;
    const verbs: Record<string, () => Promise<unknown>> = {
      get: () => client.get(resources.secrets, key),
      replace: () => client.replace(resources.secrets, secret),
      delete: () => client.delete(resources.secrets, key),
      'merge patch': () => client.patch(resources.secrets, key, {}),
      'JSON patch': () => client.patch(resources.secrets, key, [], { type: 'json' }),
      create: () => client.create(resources.secrets, secret),
    };
    const failure = failureOf(verbs[verb]?.() ?? Promise.reject());
    const waits: number[] = [];
    if (isRepeated) for (let retry = 0; retry < 4; retry += 1) waits.push(await timers.skip());
    expect((await failure).status).toBe(500);
    expect(waits).toEqual(isRepeated ? [250, 500, 1000, 2000] : []);
    expect(api.requests.length).toBe(isRepeated ? 5 : 1);
  });

  test('name verb, resource, object and what the server said in their errors', async () => {
    await using scripted = await openScripted((_, response) => sendStatus(response, 403, 'Forbidden'));
    const error = await failureOf(scripted.client.get(resources.secrets, key));
    expect(error.message).toBe('get secrets demo/harbor: 403 Forbidden: this is Forbidden');
    expect([error.status, error.reason]).toEqual([403, 'Forbidden']);
    const listing = await failureOf(scripted.client.list(resources.secrets, { namespace: 'demo' }));
    expect(listing.message).toBe('list secrets in demo: 403 Forbidden: this is Forbidden');
  });

  test('never have a token in their errors', async () => {
    const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln';
    await using scripted = await openScripted((request, response) => {
      sendJson(response, 400, { kind: 'Status', code: 400, message: `bad: ${request.body} ${request.authorization}` });
    });
    const error = await failureOf(scripted.client.post('/apis/authentication.k8s.io/v1/tokenreviews', { token }));
    expect(error.message).toMatch(/^create \/apis\/authentication.k8s.io\/v1\/tokenreviews: 400 BadRequest: bad/);
    expect(`${error.message} ${error.stack}`).not.toMatch(/eyJ|token-1/);
  });

  test('that get no answer in time fail as unreachable', async () => {
    await using scripted = await openScripted(() => {}, { timeoutMs: 50 });
    const error = failureOf(scripted.client.create(resources.secrets, secret));
    expect(await error).toMatchObject({ status: 0, reason: 'Unreachable' });
    expect((await error).message).toBe('create secrets demo/harbor: no answer from the API server (ETIMEDOUT)');
  });

  test('fail when there is no connection to be made with what the kubeconfig holds', async () => {
    await using api = await startScriptedApi((_, response) => sendJson(response, 200, secret));
    const kubeconfig = `${api.kubeconfig}-broken`;
    const text = await readFile(api.kubeconfig, 'utf8');
    const broken = Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').toString('base64');
    await writeFile(kubeconfig, text.replace('"token-file"', `"client-certificate-data":"${broken}","token-file"`));
    await using client = await openKubernetesClient({ kubeconfig });
    expect(await failureOf(client.create(resources.secrets, secret))).toMatchObject({ reason: 'Unreachable' });
  });

  test('end with the reason of the signal that ended them, also while they wait', async () => {
    await using scripted = await openScripted((_, response) => sendStatus(response, 503, 'ServiceUnavailable'));
    const abort = new AbortController();
    const getting = scripted.client.get(resources.secrets, key, { signal: abort.signal });
    await scripted.timers.nextWait();
    const reason = new Error('nobody wants it');
    abort.abort(reason);
    await expect(getting).rejects.toBe(reason);
    expect(scripted.timers.waits).toEqual([]);
  });

  test('under way end when the client is closed, and later ones are refused', async () => {
    await using scripted = await openScripted(() => {});
    const getting = scripted.client.get(resources.secrets, key);
    const watching = scripted.client.watch(
      resources.secrets,
      { resourceVersion: '1', signal: new AbortController().signal },
      () => {},
    );
    const both = Promise.allSettled([getting, watching]);
    await scripted.client.close();
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(scripted.client.get(resources.secrets, key)).rejects.toThrow('the client is closed');
  });

  test('tell an object that is not there from a kind that the server does not know', async () => {
    const details = { name: 'harbor', kind: 'secrets' };
    await using scripted = await openScripted((request, response) => {
      if (request.path.includes('secrets')) sendJson(response, 404, { code: 404, message: 'no', details });
      else response.writeHead(404).end('404 page not found\n');
    });
    expect(await scripted.client.get(resources.secrets, key)).toBeUndefined();
    await scripted.client.delete(resources.secrets, key);
    expect((await failureOf(scripted.client.get(resources.connectors, key))).reason).toBe('NotFound');
  });

  test.each(['../../kube-system/secrets/admin', '..', '', 'a/b', 'a%2fb'])('refuse the name %j', async (name) => {
    await using scripted = await openScripted((_, response) => sendJson(response, 200, {}));
    const getting = scripted.client.get(resources.secrets, { namespace: 'demo', name });
    await expect(getting).rejects.toThrow(RangeError);
    expect(scripted.api.requests).toEqual([]);
  });

  test('keep fields that nobody here knows, and say what kind of patch they are', async () => {
    await using scripted = await openScripted((request, response) =>
      sendJson(response, 200, { metadata: key, from: request.contentType, spec: { newer: { than: ['us', null] } } }),
    );
    const options = { type: 'apply', fieldManager: 'us', force: true, subresource: 'status' } as const;
    const answer = await scripted.client.patch(resources.connectors, key, {}, options);
    expect(answer).toEqual({
      ...{ metadata: key, from: 'application/apply-patch+yaml', spec: { newer: { than: ['us', null] } } },
    });
    const [{ path, query } = { path: '', query: undefined }] = scripted.api.requests;
    expect(`${path}?${query}`).toBe(
      '/apis/connectors.alauda.io/v1alpha1/namespaces/demo/connectors/harbor/status?fieldManager=us&force=true',
    );
  });
});

describe('lists', () => {
  const page = (names: string[], next?: string) => ({
    metadata: { resourceVersion: '9', ...(next === undefined ? {} : { continue: next }) },
    items: names.map((name) => ({ metadata: { name } })),
  });

  test('are read in pages of 500, and their objects say what they are', async () => {
    await using scripted = await openScripted(({ query }, response) => {
      sendJson(response, 200, query.get('continue') === 'more' ? page(['c']) : page(['a', 'b'], 'more'));
    });
    const { items, resourceVersion } = await scripted.client.list(resources.secrets, { labelSelector: 'a=b' });
    expect(items.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`)).toEqual([
      ...['v1 Secret a', 'v1 Secret b', 'v1 Secret c'],
    ]);
    expect(resourceVersion).toBe('9');
    expect(scripted.api.requests.map(({ query }) => query.toString())).toEqual([
      ...['limit=500&labelSelector=a%3Db', 'limit=500&continue=more&labelSelector=a%3Db'],
    ]);
  });

  test('begin again when their token has expired, and do without pages when it does so twice', async () => {
    await using scripted = await openScripted(({ query }, response) => {
      if (query.has('continue')) sendStatus(response, 410, 'Expired');
      else if (query.has('limit')) sendJson(response, 200, page(['a'], 'more'));
      else sendJson(response, 200, page(['a', 'b']));
    });
    const { items } = await scripted.client.list(resources.secrets);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    expect(scripted.api.requests.length).toBe(5);
  });
});

describe('credentials', () => {
  const refuseFirst: Answer = ({ authorization }, response) => {
    if (authorization === 'Bearer token-2') sendJson(response, 200, secret);
    else sendStatus(response, 401, 'Unauthorized');
  };

  test('are read again at once when the server refuses them', async () => {
    await using scripted = await openScripted(refuseFirst);
    await writeFile(scripted.api.tokenFile, 'token-2\n');
    expect(await scripted.client.get(resources.secrets, key)).toEqual(secret);
    expect(scripted.api.requests.map(({ authorization }) => authorization)).toEqual([
      ...['Bearer token-1', 'Bearer token-2'],
    ]);
  });

  test('that are refused twice are an error, without further attempts', async () => {
    await using scripted = await openScripted(refuseFirst);
    expect((await failureOf(scripted.client.get(resources.secrets, key))).reason).toBe('Unauthorized');
    expect(scripted.api.requests.length).toBe(2);
  });

  test('are read again every minute', async () => {
    await using scripted = await openScripted((_, response) => sendJson(response, 200, secret));
    const { client, api, timers } = scripted;
    await client.get(resources.secrets, key);
    await writeFile(api.tokenFile, 'token-2');
    await timers.advance(59_000);
    await client.get(resources.secrets, key);
    await timers.advance(2000);
    await client.get(resources.secrets, key);
    expect(api.requests.map(({ authorization }) => authorization)).toEqual([
      ...['Bearer token-1', 'Bearer token-1', 'Bearer token-2'],
    ]);
  });

  test('that are to be found nowhere are an error that says so', async () => {
    await expect(openKubernetesClient({ kubeconfig: '/nowhere/kubeconfig' })).rejects.toThrow('/nowhere/kubeconfig');
  });
});

describe('tokens of service accounts', () => {
  test('are asked for with audience, life and the object that they end with', async () => {
    await using scripted = await openScripted((_, response) =>
      sendJson(response, 201, { status: { token: 't', expirationTimestamp: '2026-01-01T00:00:00Z' } }),
    );
    const boundObject = { apiVersion: 'v1', kind: 'Secret', name: 's', uid: 'u' } as const;
    const options = { audiences: ['oci-connector'], expirationSeconds: 3600, boundObject };
    const issued = await requestToken(scripted.client, { namespace: 'demo', name: 'puller' }, options);
    expect(issued).toEqual({ token: 't', expiresAt: Date.parse('2026-01-01T00:00:00Z') });
    const [{ path, body } = { path: '', body: '' }] = scripted.api.requests;
    expect(path).toBe('/api/v1/namespaces/demo/serviceaccounts/puller/token');
    expect(JSON.parse(body).spec).toEqual({
      ...{ audiences: ['oci-connector'], expirationSeconds: 3600, boundObjectRef: boundObject },
    });
  });

  test('that are missing in the answer are an error', async () => {
    await using scripted = await openScripted((_, response) => sendJson(response, 201, {}));
    const options = { audiences: ['a'], expirationSeconds: 600 };
    await expect(requestToken(scripted.client, { namespace: 'demo', name: 'x' }, options)).rejects.toThrow('no token');
  });
});
