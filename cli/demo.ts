import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import jsonPatch from 'fast-json-patch';
import { Agent, request } from 'undici';
import { type Image, makeImage } from '../test/support/image.ts';
import { manifestsOf } from '../test/support/manifests.ts';
import { type Registry, startRegistry } from '../test/support/registry.ts';
import { type ReadyLine, startProduct } from './demo-product.ts';
import type { Output } from './output.ts';
import { diffOf } from './pod-diff.ts';

/** The demo is given up after this; it takes a few seconds. */
const timeoutMs = 60_000;

/**
 * The whole way of a private image on this machine: a registry with token authentication, the product as a process of
 * its own, a pod through the webhook, and the rewritten image pulled by a client that holds no credential.
 * Leaves nothing behind, however it ends.
 * @throws Error as soon as something is not as it has to be
 */
export async function demo(output: Output): Promise<void> {
  await using parts = new AsyncDisposableStack();
  const signal = AbortSignal.timeout(timeoutMs);
  const say = (sentence: string): void => output.result(`\n${sentence}\n`);

  const password = randomBytes(18).toString('base64url');
  const registry = parts.use(await startRegistry({ auth: { kind: 'token', username: 'robot', password } }));
  const image = makeImage({ layers: 2, layerBytes: 64 * 1024 });
  await push(registry, 'team/app', 'v1', image);
  const reference = `${registry.authority}/team/app:v1`;
  say(
    `1. A registry with token authentication runs at ${registry.origin}; ${reference} (two layers) was pushed to it.`,
  );

  const product = parts.use(await startProduct(manifestsOf(registry.origin, 'robot', password), signal));
  const { ready } = product;
  say(`2. oci-connector runs: proxy ${ready.proxy}, webhook ${ready.webhook}. Only its manifests hold the credential.`);

  const pod = podOf(reference);
  const mutated = await admit(pod, ready, signal);
  say('3. A pod of namespace demo went through the webhook:');
  output.result(`\n${diffOf(pod, mutated, 'pod')}`);
  const rewritten = mutated.spec.containers[0]?.image ?? '';
  if (rewritten === reference) throw new Error('the webhook left the image as it was');

  const pulled = await pull(rewritten, image, signal);
  say(
    `4. ${rewritten}\n   was pulled without any credential: ${pulled.digests} digests checked, ${pulled.bytes} bytes.`,
  );

  const direct = await request(`${registry.origin}/v2/team/app/manifests/v1`, { signal });
  await direct.body.dump();
  if (direct.statusCode !== 401)
    throw new Error(`the registry answered ${direct.statusCode} to a client without credential`);
  say(`5. The same pull from the registry itself is refused: ${direct.statusCode} Unauthorized.`);
  output.result(`   The registry gave out ${registry.tokenRequests.length} token(s), all to the connector.\n`);
  await product.stop();
}

const podOf = (image: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'app', namespace: 'demo' },
  spec: { containers: [{ name: 'app', image }] },
});
type Pod = ReturnType<typeof podOf>;

/** Pushes an image by the registry's own protocol: each blob in one request, then the manifest under its tag. */
async function push(registry: Registry, repository: string, tag: string, image: Image): Promise<void> {
  const authorization = `Bearer ${registry.issueToken([`repository:${repository}:pull,push`])}`;
  const base = `${registry.origin}/v2/${repository}`;
  for (const [digest, body] of image.blobs) {
    await send('POST', `${base}/blobs/uploads/?digest=${digest}`, body, 'application/octet-stream', authorization);
  }
  for (const { bytes, mediaType } of image.manifests.values()) {
    await send('PUT', `${base}/manifests/${tag}`, bytes, mediaType, authorization);
  }
}

async function send(
  method: 'POST' | 'PUT',
  url: string,
  body: Uint8Array,
  type: string,
  authorization: string,
): Promise<void> {
  const response = await request(url, { method, body, headers: { 'content-type': type, authorization } });
  await response.body.dump();
  if (response.statusCode !== 201) throw new Error(`${method} ${url} was answered with ${response.statusCode}`);
}

/** What the API server does with a pod: it asks the webhook, trusting only its CA, and applies the patch. */
async function admit(pod: Pod, { webhook, caFile }: ReadyLine, signal: AbortSignal): Promise<Pod> {
  const dispatcher = new Agent({ connect: { ca: await readFile(caFile, 'utf8') } });
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'demo-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'demo',
      name: 'app',
      object: pod,
    },
  };
  const answer = await request(`https://${webhook}/mutate?timeout=5s`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(review),
    dispatcher,
    signal,
  });
  const { response } = (await answer.body.json()) as { response?: { allowed: boolean; patch?: string } };
  await dispatcher.close();
  if (!response?.allowed || response.patch === undefined) throw new Error('the webhook answered without a patch');
  const patch = JSON.parse(Buffer.from(response.patch, 'base64').toString('utf8'));
  return jsonPatch.applyPatch(structuredClone(pod), patch).newDocument;
}

/** Pulls by plain HTTP, without any header, what the reference names, and compares every digest with what was pushed. */
async function pull(reference: string, image: Image, signal: AbortSignal): Promise<{ digests: number; bytes: number }> {
  const [, host = '', repository = '', tag = ''] = /^([^/]+)\/(.+):([^:/]+)$/.exec(reference) ?? [];
  const base = `http://${host}/v2/${repository}`;
  const manifest = await get(`${base}/manifests/${tag}`, image.digest, signal);
  const { config, layers } = JSON.parse(manifest.toString('utf8')) as { config: Descriptor; layers: Descriptor[] };
  let bytes = manifest.length;
  for (const { digest } of [config, ...layers]) bytes += (await get(`${base}/blobs/${digest}`, digest, signal)).length;
  return { digests: 2 + layers.length, bytes };
}

interface Descriptor {
  readonly digest: string;
}

async function get(url: string, digest: string, signal: AbortSignal): Promise<Buffer> {
  const response = await request(url, { signal });
  const body = Buffer.from(await response.body.arrayBuffer());
  if (response.statusCode !== 200) throw new Error(`GET ${url} was answered with ${response.statusCode}: ${body}`);
  const found = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  if (found !== digest) throw new Error(`GET ${url} brought ${found} instead of ${digest}`);
  return body;
}
