import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CallOptions, type CallResult, call } from '../../support/call.ts';
import { digestOf } from '../../support/digest.ts';
import type { Image } from '../../support/image.ts';
import type { ClientHome } from './clients.ts';
import { randomOf } from './fault-plan.ts';
import { type FaultConnector, type FaultScene, faultConnectors, faultImage, folderOf } from './fault-scene.ts';
import { readOciLayout, writeOciLayout } from './oci-layout.ts';

/** crane, or a client that checks and repeats nothing. */
export type FaultClient = 'crane' | 'plain';

/** What a client said of one pull or push, and what there really was. */
export interface OperationResult {
  readonly name: string;
  readonly client: FaultClient;
  readonly action: 'pull' | 'push';
  /** As the registry names it. */
  readonly repository: string;
  /** Milliseconds of `performance.now()`. */
  readonly from: number;
  readonly to: number;
  /** What the client gave as the reason; undefined where it reported success. */
  readonly failure: string | undefined;
  /** What is missing or wrong although the client reported success. */
  readonly damage: string | undefined;
}

/** One pull or push: which, is a matter of seed and number. */
export async function runOperation(scene: FaultScene, seed: string, number: number, client: FaultClient) {
  const name = `${seed}/${client}/${number}`;
  const random = randomOf(name);
  const connector = faultConnectors[Math.floor(random() * faultConnectors.length)] ?? 'direct-0';
  const isPull = random() < 0.5;
  const from = performance.now();
  const { repository, failure, check } = await (isPull
    ? pull(scene, client, connector, Math.floor(random() * scene.seeded.length))
    : push(scene, client, connector, name, number));
  const to = performance.now();
  const damage = failure === undefined ? await check().catch((error: Error) => error.message) : undefined;
  const action = isPull ? 'pull' : 'push';
  return { name, client, action, repository, from, to, failure, damage } satisfies OperationResult;
}

interface Attempt {
  readonly repository: string;
  readonly failure: string | undefined;
  /** Finds out what is missing or wrong. */
  check(): Promise<string | undefined>;
}

const pathOf = (connector: FaultConnector, repository: string): string =>
  `namespaces/demo/connectors/${connector}/${repository}`;

async function pull(scene: FaultScene, client: FaultClient, connector: FaultConnector, at: number): Promise<Attempt> {
  const image = scene.seeded[at] as Image;
  const repository = `${folderOf(connector)}/seeded`;
  const path = pathOf(connector, repository);
  if (client === 'plain') return { repository, ...(await pullPlainly(scene, path, `v${at}`, image)) };
  const folder = await mkdtemp(join(scene.client.folder, 'pull-'));
  const layout = join(folder, 'layout');
  const args = ['pull', '--format=oci', `${scene.product.proxy}/${path}:v${at}`, layout];
  const failure = await runCrane(scene.client, args);
  const found = failure === undefined ? await readOciLayout(layout).catch(() => new Set<string>()) : new Set<string>();
  await rm(folder, { recursive: true });
  return {
    repository,
    failure,
    check: async () => missingOf(image, found),
  };
}

async function push(
  scene: FaultScene,
  client: FaultClient,
  connector: FaultConnector,
  name: string,
  number: number,
): Promise<Attempt> {
  const image = faultImage(name);
  const repository = `${folderOf(connector)}/pushed-${number % 20}`;
  const tag = `${client}-${number}`;
  const path = pathOf(connector, repository);
  const failure =
    client === 'plain'
      ? await pushPlainly(scene, path, tag, image)
      : await pushByCrane(scene, `${scene.product.proxy}/${path}:${tag}`, image);
  const check = async () => {
    const { digest, digests } = await scene.stored.readWhole(repository, tag);
    return digest === image.digest ? missingOf(image, new Set(digests)) : `${digest} in place of ${image.digest}`;
  };
  return { repository, failure, check };
}

async function pushByCrane({ client }: FaultScene, reference: string, image: Image): Promise<string | undefined> {
  const layout = await mkdtemp(join(client.folder, 'push-'));
  await writeOciLayout(layout, image, 'image');
  const failure = await runCrane(client, ['push', layout, reference]);
  await rm(layout, { recursive: true });
  return failure;
}

/** Beyond all that the product or crane waits for on purpose. */
const patienceMs = 300_000;

/** What crane gives as the reason; undefined where it reports success. */
async function runCrane(client: ClientHome, args: readonly string[]): Promise<string | undefined> {
  try {
    const { code, stderr } = await client.run('crane', args, { timeoutMs: patienceMs });
    return code === 0 ? undefined : stderr || `exit code ${code}`;
  } catch (error) {
    // It is killed when it takes too long.
    return (error as Error).message;
  }
}

function missingOf(image: Image, found: ReadonlySet<string>): string | undefined {
  const missing = [...image.manifests.keys(), ...image.blobs.keys()].filter((digest) => !found.has(digest));
  return missing.length === 0 ? undefined : `missing or wrong: ${missing.join(', ')}`;
}

/** Takes what HTTP says is a whole answer for one: only the proxy keeps it from taking a part for the whole. */
async function pullPlainly(
  scene: FaultScene,
  path: string,
  tag: string,
  image: Image,
): Promise<Omit<Attempt, 'repository'>> {
  const found = new Set<string>();
  const origin = `http://${scene.product.proxy}`;
  const check = async () => missingOf(image, found);
  for (const tail of [`manifests/${tag}`, ...[...image.blobs.keys()].map((digest) => `blobs/${digest}`)]) {
    const headers = { accept: image.mediaType };
    const answer = await ask(`${origin}/v2/${path}/${tail}`, { headers });
    const failure = failureOf(answer, 200);
    if (failure !== undefined) return { failure, check };
    found.add(digestOf(answer.body));
  }
  return { failure: undefined, check };
}

/** Each blob by POST, PATCH in chunks and PUT; then the manifest. */
async function pushPlainly(scene: FaultScene, path: string, tag: string, image: Image): Promise<string | undefined> {
  const origin = `http://${scene.product.proxy}`;
  const octets = { 'content-type': 'application/octet-stream' };
  const chunked = { ...octets, 'transfer-encoding': 'chunked' };
  for (const [digest, body] of image.blobs) {
    const begun = await ask(`${origin}/v2/${path}/blobs/uploads/`, { method: 'POST' });
    const sent = await next(begun, 202, (at) => ask(at, { method: 'PATCH', headers: chunked, body }));
    const done = await next(sent, 202, (at) => ask(`${at}?digest=${digest}`, { method: 'PUT' }));
    const failure = typeof done === 'string' ? done : failureOf(done, 201);
    if (failure !== undefined) return failure;
  }
  const body = image.manifests.get(image.digest)?.bytes ?? Buffer.alloc(0);
  const headers = { 'content-type': image.mediaType };
  return failureOf(await ask(`${origin}/v2/${path}/manifests/${tag}`, { method: 'PUT', headers, body }), 201);

  async function next(answer: CallResult | string, status: number, go: (at: string) => Promise<CallResult>) {
    const failure = typeof answer === 'string' ? answer : failureOf(answer, status);
    if (failure !== undefined || typeof answer === 'string') return failure ?? '';
    return go(new URL(answer.headers.location ?? '', origin).href);
  }
}

const ask = (url: string, options: CallOptions): Promise<CallResult> =>
  call(url, { ...options, signal: AbortSignal.timeout(patienceMs) });

function failureOf({ status, body, failure }: CallResult, expected: number): string | undefined {
  if (failure !== undefined) return failure;
  return status === expected ? undefined : `unexpected status code ${status}: ${body.subarray(0, 2_000)}`;
}
